//! The program of a hook: where it is, and which images it speaks of.

use std::path::{Path, PathBuf};

use crate::model::ImageReference;

/// Where docker-puller, which ran beside its config.json, found `program`; nothing when it is nowhere.
pub(super) fn find(program: &str, beside: &Path) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let here = beside.join(path);
    if program.contains('/') {
        return Some(here.components().collect());
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    // A bare name is a program of the system; but many meant the script beside the file.
    std::env::split_paths(&search).map(|directory| directory.join(path)).chain([here]).find(|file| file.is_file())
}

/// The images that a script pulls, as far as they stand there in full.
pub(super) fn pulled(text: &str) -> Vec<ImageReference> {
    let mut images: Vec<ImageReference> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip_while(|word| *word != "pull").skip(1);
        let Some(word) = words.find(|word| !word.starts_with('-')) else { continue };
        let word = word.trim_end_matches(';').trim_matches(['"', '\'']);
        // Without a slash or a tag it may be any word.
        let is_image = word.contains(['/', ':']) && line.contains("docker");
        match ImageReference::parse_familiar(word) {
            Ok(image) if is_image && image.digest().is_none() && !images.contains(&image) => images.push(image),
            _ => {}
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_docker_puller_found_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("restart.sh"), "").unwrap();
        let find = |program: &str| find(program, directory.path());
        assert_eq!(find("/opt/x.sh"), Some("/opt/x.sh".into()));
        assert_eq!(find("./scripts/x.sh"), Some(directory.path().join("scripts/x.sh")));
        assert_eq!(find("restart.sh"), Some(directory.path().join("restart.sh")));
        assert_eq!(find("nowhere.sh"), None);
        assert!(find("sh").unwrap().ends_with("bin/sh"));
    }

    #[test]
    fn an_image_that_a_script_pulls_is_found_when_it_stands_there_in_full() {
        let script = "#!/bin/sh\nset -e\nsudo docker pull -q acme/shop\ndocker pull \"r.io/web:v1\"; echo\n\
                      docker pull $IMAGE\ngit pull origin/main\ndocker pull acme/shop:latest\ndocker-compose pull web\n";
        let images: Vec<String> = pulled(script).iter().map(ToString::to_string).collect();
        assert_eq!(images, ["docker.io/acme/shop:latest", "r.io/web:v1"]);
    }
}
