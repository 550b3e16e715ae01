//! Where parts lie.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::part::PartName;

/// One part that lies there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Its name.
    pub name: PartName,
    /// Its size.
    pub bytes: u64,
}

/// A place where parts lie. It may be slow or fail; nobody who serves waits for it.
pub trait Destination: Send + Sync + fmt::Debug {
    /// Takes a file over under a name, whole or not at all; what had the name before is gone then.
    ///
    /// # Errors
    /// Where it cannot: the file is still there.
    fn put(&self, name: &PartName, file: &Path) -> io::Result<()>;

    /// All parts, in no particular order. What is no part is left out.
    ///
    /// # Errors
    /// Where they cannot be looked through.
    fn list(&self) -> io::Result<Vec<Part>>;

    /// Opens a part for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is none of this name.
    fn open(&self, name: &PartName) -> io::Result<File>;

    /// Deletes a part. One that is not there is deleted already.
    ///
    /// # Errors
    /// Where it is still there.
    fn delete(&self, name: &PartName) -> io::Result<()>;
}

/// A directory of a local file system.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory at this path. It is made when the first part comes.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, name: &PartName) -> PathBuf {
        self.root.join(name.path())
    }
}

impl Destination for Directory {
    fn put(&self, name: &PartName, file: &Path) -> io::Result<()> {
        let path = self.path(name);
        let Some(folder) = path.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
        fs::create_dir_all(folder)?;
        fs::rename(file, &path)?;
        // So that the name is there after a loss of power, and the folders that it is in.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for model in folders(&self.root, "model=")? {
            for date in folders(&self.root.join(&model), "date=")? {
                let date = format!("{model}/{date}");
                for hour in folders(&self.root.join(&date), "hour=")? {
                    let hour = format!("{date}/{hour}");
                    list_hour(&self.root, &hour, &mut parts)?;
                }
            }
        }
        Ok(parts)
    }

    fn open(&self, name: &PartName) -> io::Result<File> {
        File::open(self.path(name))
    }

    fn delete(&self, name: &PartName) -> io::Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Folders that are empty now go too; those that are not stay.
        for folder in path.ancestors().skip(1).take(3) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Names of the folders of a folder that begin so; none where there is no such folder.
fn folders(folder: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let names = names(folder)?.into_iter();
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

fn list_hour(root: &Path, hour: &str, parts: &mut Vec<Part>) -> io::Result<()> {
    for file in names(&root.join(hour))? {
        let path = format!("{hour}/{file}");
        let Some(name) = PartName::parse(&path) else { continue };
        match fs::metadata(root.join(&path)) {
            Ok(metadata) => parts.push(Part { name, bytes: metadata.len() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The names in a folder; none where it is not there.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
