//! The windows of a version as a document, so that they outlive the process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::layout::Frame;
use super::layout::{Layout, SavedFrame};
use super::recorder::Recorder;
use super::sample::{Profile, SavedProfile};
use super::windows::{Taken, Windows};

/// The format that is written. In the one before, windows are numbered and not named by when they begin.
const FORMAT: u32 = 2;
const NUMBERED: u32 = 1;

/// What was kept of a version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    model: String,
    version: u64,
    /// Windows count from here on only where these are the cells.
    layout: String,
    seconds: u64,
    /// The cells, where they come from no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frames: Option<Vec<SavedFrame>>,
    windows: Vec<SavedWindow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedWindow {
    arm: String,
    window: i64,
    profile: SavedProfile,
}

/// A document that cannot be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the windows that were kept of its traffic are left: {0}")]
pub struct SavedError(String);

impl Recorder {
    /// Its windows as JSON; nothing while its cells are not known.
    #[must_use]
    pub fn save(&self, model: &str, version: u64) -> Option<String> {
        let kept = self.kept()?;
        let windows = kept.windows.iter().map(|((arm, window), profile)| SavedWindow {
            arm: arm.to_string(),
            window: *window,
            profile: profile.saved(&kept.layout),
        });
        let frames = || kept.layout.columns().iter().map(|of| of.frame.saved()).collect();
        let saved = Saved {
            format: FORMAT,
            model: model.into(),
            version,
            layout: kept.layout.fingerprint(),
            seconds: self.span().seconds,
            frames: (!self.has_training()).then(frames),
            windows: windows.collect(),
        };
        // Texts, whole numbers and finite floats are all that it holds.
        serde_json::to_string(&saved).ok()
    }

    /// Goes on with what was kept.
    ///
    /// # Errors
    /// Where the document is none, or of other cells or windows: counts of those cannot be told from each other.
    pub fn resume_from(&self, document: &str) -> Result<(), SavedError> {
        let saved: Saved = serde_json::from_str(document).map_err(|e| SavedError(e.to_string()))?;
        if !matches!(saved.format, FORMAT | NUMBERED) || saved.seconds != self.span().seconds {
            let seconds = saved.seconds;
            return Err(SavedError(format!("they are of format {}, {seconds} s each", saved.format)));
        }
        let layout = match (self.layout(), &saved.frames) {
            (Some(layout), _) => Layout::clone(layout),
            (None, Some(frames)) => self.learnt(frames)?,
            (None, None) => return Err(SavedError("their baseline is no longer there".into())),
        };
        if layout.fingerprint() != saved.layout {
            return Err(SavedError("their columns or bins are not those of now".into()));
        }
        let mut windows = Windows::default();
        for window in &saved.windows {
            let profile = Profile::restore(&layout, &window.profile).map_err(SavedError)?;
            let length = if saved.format == NUMBERED { saved.seconds } else { 1 };
            let begins = window.window.saturating_mul(i64::try_from(length).unwrap_or(i64::MAX));
            let key = (Arc::from(window.arm.as_str()), begins);
            if windows.add(&key, profile, self.span().windows_max) == Taken::Crowded {
                return Err(SavedError("they are of too many arms".into()));
            }
        }
        self.resume(layout, windows);
        Ok(())
    }

    /// The layout that was made from the first rows.
    fn learnt(&self, frames: &[SavedFrame]) -> Result<Layout, SavedError> {
        let frames: Result<Vec<Frame>, String> = frames.iter().map(Frame::restore).collect();
        let frames = frames.map_err(SavedError)?;
        let columns = Layout::new(self.signature(), self.schema(), |at, column| {
            frames.get(at).cloned().unwrap_or_else(|| Frame::unknown(column.kind, None))
        });
        Ok(columns)
    }
}
