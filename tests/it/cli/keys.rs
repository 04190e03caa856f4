//! Keys are made, shown only when that is asked for, and never overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;

use super::Windlass;
use crate::daemon::Home;

#[test]
fn a_key_is_written_for_its_owner_alone_and_shown_as_hex_on_request() {
    let home = Home::new();
    let windlass = Windlass::on(&home);
    let file = home.path().join("ci.key");
    let path = file.to_str().unwrap();
    let made = windlass.run(&["key", "new", "--out", path]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!made.out.contains("whsec_") && made.out.contains(path), "{made:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let again = windlass.run(&["key", "new", "--out", path]);
    assert_eq!(again.code, 10, "{again:?}");
    assert!(again.err.contains("never overwritten"), "{again:?}");

    let text = fs::read_to_string(&file).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim().trim_start_matches("whsec_")).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(windlass.run(&["key", "hex", path]).out.trim(), hex);
    assert_eq!(windlass.json(&["key", "hex", path])["hex"], hex);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = windlass.run(&["key", "hex", path]);
    assert!(open.code == 0 && open.err.contains("chmod 600"), "{open:?}");
}

#[test]
fn each_scheme_has_keys_of_its_own() {
    let home = Home::new();
    let windlass = Windlass::on(&home);
    assert!(windlass.run(&["key", "new"]).out.starts_with("whsec_"));
    for scheme in ["github", "bearer"] {
        let made = windlass.json(&["key", "new", "--scheme", scheme]);
        assert_eq!(made["scheme"], scheme);
        assert_eq!(made["secret"].as_str().unwrap().len(), 64);
        let file = home.path().join(scheme);
        home.secret(scheme, "a secret of more than 24 bytes".replace(' ', "-").as_str());
        let shown = windlass.run(&["key", "hex", file.to_str().unwrap(), "--scheme", scheme]);
        match scheme {
            "github" => assert_eq!(shown.out.trim().len(), 60, "{shown:?}"),
            _ => assert_eq!((shown.code, shown.out.as_str()), (2, ""), "{shown:?}"),
        }
    }
}
