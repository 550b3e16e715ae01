//! What a registry must not hold, case by case, each with its verdict. Whatever it is, the model beside
//! it is listed and read.

use super::*;

/// What becomes of version 1 of the model `m`, or of what was meant to be it, in one line.
fn verdict(disk: &Disk) -> String {
    disk.model("good/1/model.onnx");
    let scan = disk.scan();
    assert!(names(&scan).contains(&"good") && disk.read("good", 1).is_ok());
    let Some(model) = scan.models.iter().find(|model| model.name.as_str() != "good") else {
        return lines(&scan.problems).first().map_or("ignored".into(), |line| format!("no model: {line}"));
    };
    if let Some(problem) = model.problems.first() {
        return format!("bad model: {problem}");
    }
    let Some(listed) = model.versions.first() else {
        return lines(&model.warnings).first().map_or("ignored".into(), |line| format!("no version: {line}"));
    };
    match &listed.folder {
        FolderState::Tombstone => "withdrawn".into(),
        FolderState::Unsettled { reason } => format!("unsettled: {reason}"),
        FolderState::Complete => match disk.open().read(&model.name, listed.number) {
            Ok(_) => format!("served: {} {}", model.name, listed.number),
            Err(error) => format!("refused: {error}"),
        },
    }
}

/// Each case has a name, what makes it, and what its verdict begins with.
type Case<'c> = (&'c str, &'c dyn Fn(&Disk), &'c str);

fn check(cases: &[Case<'_>]) {
    for (name, make, expected) in cases {
        let disk = Disk::new();
        make(&disk);
        let found = verdict(&disk);
        assert!(found.starts_with(expected), "{name}: {found}");
        assert!(!found.contains(char::is_control), "{name}: {found:?}");
    }
}

#[test]
fn folders_of_versions() {
    let version = |name: &'static str| {
        move |disk: &Disk| {
            disk.write("m/model.toml", "").model(&format!("m/{name}/model.onnx"));
        }
    };
    let long = "9".repeat(255);
    let is_none = |name: &str| format!("no version: m/{name}: is no version, and is left out; ");
    let folder_without = |disk: &Disk| std::fs::create_dir_all(disk.path("m/1")).expect("a folder");
    check(&[
        ("one", &version("1"), "served: m 1"),
        ("2^63", &version("9223372036854775808"), "served: m 9223372036854775808"),
        ("2^64 - 1", &version("18446744073709551615"), "served: m 18446744073709551615"),
        ("2^64", &version("18446744073709551616"), &is_none("18446744073709551616")),
        (
            "255 digits",
            &|disk| {
                disk.model("m/1/model.onnx").model(&format!("m/{long}/x"));
            },
            "served: m 1",
        ),
        ("a leading zero", &version("01"), &is_none("01")),
        ("zero", &version("0"), &is_none("0")),
        ("below zero", &version("-1"), &is_none("-1")),
        ("a plus", &version("+1"), &is_none("+1")),
        ("a fraction", &version("1.0"), &is_none("1.0")),
        ("an exponent", &version("1e3"), &is_none("1e3")),
        ("a word", &version("latest"), &is_none("latest")),
        ("a space", &version("1 "), &is_none("1 ")),
        ("a newline", &version("1\n"), &is_none("1\\n")),
        ("an escape sequence", &version("\u{1b}[31m1"), &is_none("\\u{1b}[31m1")),
        ("an Arabic digit", &version("\u{661}"), &is_none("\u{661}")),
        ("a full-width digit", &version("\u{ff11}"), &is_none("\u{ff11}")),
        ("a dot in front", &version(".1"), "ignored"),
        ("two dots in front", &version("..1"), "ignored"),
        ("nothing in it", &folder_without, "unsettled: m/1/model.onnx: is missing; put it there"),
        (
            "a file instead",
            &|disk| {
                disk.write("m/model.toml", "").write("m/1", "x");
            },
            "ignored",
        ),
        (
            "a tombstone alone",
            &|disk| {
                disk.write("m/1/tombstone", "");
            },
            "withdrawn",
        ),
    ]);
}

#[test]
fn folders_of_models() {
    let model = |name: &str| {
        let path = format!("{name}/1/model.onnx");
        move |disk: &Disk| {
            disk.model(&path);
        }
    };
    let no_name = |name: &str| format!("no model: {name}: a name is 1 to 128 characters");
    let (longest, long, longer) = ("m".repeat(128), "m".repeat(129), "m".repeat(255));
    check(&[
        ("128 characters", &model(&longest), &format!("served: {longest} 1")),
        ("129 characters", &model(&long), &no_name(&long)),
        ("255 characters", &model(&longer), &no_name(&longer)),
        ("a dot in front", &model(".m"), "ignored"),
        ("two dots in front", &model("..m"), "ignored"),
        ("a space", &model("m n"), &no_name("m n")),
        ("a newline", &model("m\nn"), &no_name("m\\nn")),
        ("an escape sequence", &model("\u{1b}[2J"), &no_name("\\u{1b}[2J")),
        ("letters beyond ASCII", &model("m\u{fc}"), &no_name("m\u{fc}")),
        ("a backslash", &model("m\\n"), &no_name("m\\n")),
        ("a reserved name", &model("stats"), "no model: stats: the V2 protocol keeps this name"),
        ("another case of a name", &model("GOOD"), "served: GOOD 1"),
        ("nothing in it", &|disk| std::fs::create_dir(disk.path("m")).expect("a folder"), "ignored"),
        (
            "a model outside a version",
            &|disk| {
                disk.model("m/model.onnx");
            },
            "no model: m: holds a model",
        ),
        (
            "a file instead",
            &|disk| {
                disk.write("m", "x");
            },
            "ignored",
        ),
        (
            "bytes that are no text",
            &|disk| {
                use std::os::unix::ffi::OsStrExt;
                let name = std::ffi::OsStr::from_bytes(b"m\xff");
                std::fs::create_dir_all(disk.path("").join(name).join("1")).expect("a folder");
            },
            &no_name("m\u{fffd}"),
        ),
    ]);
    // The system itself takes no longer names.
    assert!(std::fs::create_dir(Disk::new().path(&"m".repeat(256))).is_err());
}

#[test]
fn links_pipes_and_depths() {
    let link = |from: &'static str, to: &'static str| {
        move |disk: &Disk| {
            disk.model("m/.real/model.onnx").write("m/model.toml", "");
            std::fs::create_dir_all(disk.path("m/1").parent().expect("m")).expect("a folder");
            if to != "m/1" {
                std::fs::create_dir_all(disk.path("m/1")).expect("a folder");
            }
            symlink(from, disk.path(to)).expect("a link");
        }
    };
    let outside = |disk: &Disk| {
        disk.write("m/model.toml", "");
        symlink(std::env::temp_dir(), disk.path("m/1")).expect("a link");
    };
    let piped = |name: &'static str| {
        move |disk: &Disk| {
            disk.write("m/1/x", "");
            if name != "model.onnx" {
                disk.model("m/1/model.onnx");
            }
            pipe(&disk.path(&format!("m/1/{name}")));
        }
    };
    let deep = |disk: &Disk| {
        disk.model("m/1/model.onnx").write(&format!("m/1/{}x", "d/".repeat(17)), "");
    };
    let ring = |disk: &Disk| {
        disk.model("m/1/model.onnx");
        symlink("..", disk.path("m/1/up")).expect("a link");
    };
    check(&[
        (
            "a link to a version",
            &link(".real", "m/1"),
            "unsettled: m/1: is, or lies behind, a symbolic link; ",
        ),
        ("a link to itself", &link("1", "m/1"), "unsettled: m/1: is, or lies behind, a symbolic link; "),
        ("a link out of the registry", &outside, "unsettled: m/1: is, or lies behind, a symbolic link; "),
        (
            "a link that leads nowhere",
            &link("none", "m/1"),
            "unsettled: m/1: is, or lies behind, a symbolic link; ",
        ),
        (
            "a link for a file",
            &link("../.real/model.onnx", "m/1/model.onnx"),
            "refused: m/1/model.onnx: is, or lies behind, a symbolic link; ",
        ),
        ("a ring of links below a version", &ring, "served: m 1"),
        ("a pipe for the model", &piped("model.onnx"), "refused: m/1/model.onnx: is not a regular file; "),
        (
            "a pipe for the manifest",
            &piped("manifest.toml"),
            "refused: m/1/manifest.toml: is not a regular file; ",
        ),
        ("a pipe beside", &piped("pipe"), "served: m 1"),
        (
            "a folder for the model",
            &|disk| {
                disk.write("m/1/model.onnx/x", "");
            },
            "refused: m/1/model.onnx: is not a regular file; ",
        ),
        (
            "folders too deep",
            &deep,
            "unsettled: m/1/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d: lies more than 16 folders deep",
        ),
    ]);
}

#[test]
fn folders_too_full_and_too_deep_are_unsettled_and_at_the_limits_are_not() {
    let disk = Disk::new();
    disk.model("m/1/model.onnx").write("m/1/a/b/c", "");
    let state = |entries_max, depth_max| {
        let scan = disk.limited(Limits { entries_max, depth_max, ..Limits::default() }).scan();
        match &scan.expect("scans").models[0].versions[0].folder {
            FolderState::Unsettled { reason } => reason.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(state(4, 2), "Complete");
    assert!(state(3, 2).contains("has more than 3 entries (entries_max)"), "{}", state(3, 2));
    assert!(state(4, 1).starts_with("m/1/a/b: lies more than 1 folders deep (depth_max)"), "{}", state(4, 1));
}

/// As [`check`], for manifests of a good model that have these texts.
fn check_manifests(cases: &[(&str, String, &str)]) {
    for (name, text, expected) in cases {
        let make = |disk: &Disk| {
            disk.model("m/1/model.onnx").write("m/1/notes.txt", "x").write("m/1/manifest.toml", text);
        };
        check(&[(name, &make, expected)]);
    }
}

/// A manifest that lists the model, and has `more` after that.
fn listing(more: &str) -> String {
    format!("[files]\n\"model.onnx\" = \"{}\"\n{more}\n", digest(encode(&model())))
}

#[test]
fn files_of_manifests() {
    let other = digest("other");
    let path = |name: &str| listing(&format!("\"{name}\" = \"{other}\""));
    check_manifests(&[
        ("a file beside is not listed and not read", listing(""), "served: m 1"),
        ("no file listed", "[files]".into(), "refused: m/1/model.onnx: is not listed under [files]"),
        ("a file that is not there", path("more.bin"), "unsettled: m/1/more.bin: is missing; put it there"),
        ("a wrong digest", path("notes.txt"), "refused: m/1/notes.txt: is sha256:"),
        ("one file by two paths", path("./model.onnx"), "refused: m/1/./model.onnx: is sha256:"),
        ("one path twice", path("model.onnx"), "refused: m/1/manifest.toml: line 3: "),
        (
            "an absolute path",
            path("/etc/passwd"),
            "refused: m/1/manifest.toml: key files./etc/passwd is no path",
        ),
        ("a path outside", path("../../good"), "refused: m/1/manifest.toml: key files.../../good is no path"),
        ("a backslash", path("a\\\\b"), "refused: m/1/manifest.toml: key files.a\\b is no path"),
        ("an empty path", path(""), "refused: m/1/manifest.toml: key files. is no path"),
    ]);
    let extra = |disk: &Disk| {
        disk.model("m/1/model.onnx").write("m/1/manifest.toml", listing(""));
        disk.write("m/1/golden.json", "{\"cases\": []}");
    };
    check(&[("a file that is read and not listed", &extra, "refused: m/1/golden.json: is not listed")]);
}

#[test]
fn texts_of_manifests() {
    let model = |value: &str| format!("[files]\n\"model.onnx\" = {value}");
    let refused = "refused: m/1/manifest.toml: key files.model.onnx = ";
    check_manifests(&[
        ("a digest of another kind", model("\"md5:00\""), refused),
        ("a number for a digest", model("5"), refused),
        ("a table twice", listing("[files]"), "refused: m/1/manifest.toml: line 3: "),
        ("an unknown key", "size = 5".into(), "refused: m/1/manifest.toml: key size is unknown"),
        ("cut off in a digest", listing("")[..40].into(), "refused: m/1/manifest.toml: line 2: "),
        ("cut off after its heading", listing("")[..8].into(), "refused: m/1/model.onnx: is not listed"),
        ("empty", String::new(), "unsettled: m/1/manifest.toml: is empty; copy the file again"),
    ]);
    let no_text = |disk: &Disk| {
        disk.model("m/1/model.onnx").write("m/1/manifest.toml", [0xff; 9]);
    };
    check(&[("no text", &no_text, "refused: m/1/manifest.toml: is not UTF-8")]);
}
