//! What people see: on a terminal of 80 and of 120 columns, which is drawn, and in a pipe.

use std::process::Stdio;
use std::sync::atomic::Ordering;

use insta::assert_snapshot;
use unicode_width::UnicodeWidthStr as _;
use windlass::model::Digest;

use super::{Done, Windlass};
use crate::daemon::Home;
use crate::world::{Behaviour, Running};

#[expect(clippy::disallowed_types, reason = "a terminal of its own for the command")]
type Command = std::process::Command;

impl Windlass {
    /// What a terminal of that many columns shows when the command has ended, without the colours.
    fn on_screen(&self, columns: u16, arguments: &[&str]) -> String {
        let command = self.command(arguments);
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let quoted: Vec<String> =
            words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))).collect();
        let line = format!("stty cols {columns} rows 100; {}", quoted.join(" "));
        let mut terminal = Command::new("script");
        terminal
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(command.get_current_dir().unwrap());
        terminal
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("TERM", "xterm-256color")
            .env("TZ", "UTC");
        let shown = terminal.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap().stdout;
        let mut screen = vt100::Parser::new(100, columns, 0);
        screen.process(&shown);
        let screen = screen.screen();
        // A line that is wrapped is longer than the terminal is wide.
        let wrapped = (0..100).filter(|row| screen.row_wrapped(*row)).count();
        let text: Vec<String> = screen.rows(0, columns).collect();
        let text = text.join("\n");
        let text: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        let text = text.join("\n");
        assert_eq!(wrapped, 0, "{columns} columns are too few for\n{text}");
        text
    }

    fn in_pipe(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).env("TZ", "UTC").output().unwrap())
    }
}

/// The same without what differs from run to run, and as wide: times, ages, ids.
fn steady(windlass: &Windlass, text: &str) -> String {
    let deployments = windlass.json(&["list", "--limit", "100"])["deployments"].clone();
    let ids = deployments.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
    let text = ids.fold(text.to_owned(), |text, id| text.replace(id, &"X".repeat(26)).replace(&id[18..], "XXXXXXXX"));
    let mut steady = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() || matches!(letter, ':' | '-' | '.') {
            word.push(letter);
            continue;
        }
        steady.push_str(&steady_word(&word));
        word.clear();
        steady.push(letter);
    }
    steady.trim_end_matches('\0').to_owned()
}

fn steady_word(word: &str) -> String {
    let shape: String = word.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    let is_time = matches!(shape.as_str(), "00:00:00" | "00:00" | "0000-00-00" | "0.0s" | "0.0");
    if is_time { shape } else { word.to_owned() }
}

/// A host on which everything is as bad as it can be.
fn bad_night() -> (Home, crate::daemon::TestDaemon) {
    let home = Home::new();
    let long = "a-project-with-a-name-that-is-nearly-as-long-as-a-name-can-be-1";
    let names = ["shop", "billing", "mailer", "drifted", &long[..60], "quiet"];
    for name in names {
        let image = format!("r.io/acme/{name}");
        home.project(name, &[&image]);
        home.world.service(name, "web", &format!("{image}:live"));
        for tag in ["v1", "v2", "noisy"] {
            let digest = home.world.publish(&format!("{image}:{tag}"), &format!("{name}{tag}"));
            if tag == "noisy" {
                home.world.state().behaviours.insert(digest, Behaviour::Unhealthy);
            }
        }
    }
    // What is shown of a time long ago is as wide at any time of the day.
    home.clock_offset.store(-400 * 24 * 60 * 60 * 1000 - 12 * 60 * 60 * 1000, Ordering::SeqCst);
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let deploy = |project: &str, tag: &str| windlass.run(&["deploy", project, tag]).code;
    for name in &names[..5] {
        assert_eq!(deploy(name, "v1"), 0, "{name}");
    }
    assert_eq!(deploy("shop", "noisy"), 21);
    let v1 = Digest::of(b"billingv1");
    home.world.state().behaviours.insert(v1, Behaviour::Unhealthy);
    assert_eq!(deploy("billing", "noisy"), 22);
    let by_hand = Running { digest: Digest::of(b"by hand"), works: true };
    home.world.state().running.insert(("drifted".parse().unwrap(), "web".to_owned()), by_hand);
    home.world.state().running.get_mut(&(long[..60].parse().unwrap(), "web".to_owned())).unwrap().works = false;
    let reason = "データベースを移動中です, the database is being moved to another host; \u{1b}[31mask ann";
    assert_eq!(windlass.run(&["freeze", "mailer", "--reason", reason]).code, 0);
    (home, daemon)
}

#[test]
fn status_fits_the_terminal_and_the_worst_comes_first() {
    let (home, _daemon) = bad_night();
    let windlass = Windlass::on(&home);
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["status"])), @r"
    PROJECT                   RUNS          SINCE  STATE    LAST (UTC)
    a-project-with-a-name-t…  v1            400d   DOWN     v1 0000-00-00 (400d)
      a-project-with-a-name-that-is-nearly-as-long-as-a-name-can-b-web-1 is unhealt…
      windlass logs a-project-with-a-name-that-is-nearly-as-long-as-a-name-can-b
    billing                   v1            400d   DOWN     noisy rollback failed 2…
      web is unhealthy; putting back what ran before fai…  windlass rollback billing
    drifted                   c9616cb59d02  -      changed  v1 0000-00-00 (400d)
      drifted:v1 (93ad55e9489a) was deployed, and someth…  windlass rollback drifted
    mailer                    v1            400d   healthy  frozen by root: データ…
    quiet                     -             -      -        never deployed
    shop                      v1            400d   healthy  noisy rolled back 2025-…
      web is unhealthy  windlass follow shop

    state: 7 deployments, 0.0 MB on disk
    ");
    assert_snapshot!(steady(&windlass, &windlass.on_screen(120, &["status"])), @r"
    PROJECT                                       RUNS          SINCE  STATE    LAST (UTC)
    a-project-with-a-name-that-is-nearly-as-lon…  v1            400d   DOWN     v1 0000-00-00 (400d)
      a-project-with-a-name-that-is-nearly-as-l…  windlass logs a-project-with-a-name-that-is-nearly-as-long-as-a-name-can-b
    billing                                       v1            400d   DOWN     noisy rollback failed 0000-00-00 (400d)
      web is unhealthy; putting back what ran before failed for the same reason  windlass rollback billing
    drifted                                       c9616cb59d02  -      changed  v1 0000-00-00 (400d)
      drifted:v1 (93ad55e9489a) was deployed, and something else runs  windlass rollback drifted
    mailer                                        v1            400d   healthy  frozen by root: データベースを移動中です, t…
    quiet                                         -             -      -        never deployed
    shop                                          v1            400d   healthy  noisy rolled back 0000-00-00 (400d)
      web is unhealthy  windlass follow shop

    state: 7 deployments, 0.0 MB on disk
    ");
    let piped = windlass.in_pipe(&["status"]);
    assert!(piped.out.contains("the database is being moved to another host; ask ann\n"), "nothing is cut: {piped:?}");
    assert!(piped.out.lines().all(|line| !line.contains('…')), "{piped:?}");
}

#[test]
fn a_project_in_depth_and_its_deployments_fit_the_terminal() {
    let (home, _daemon) = bad_night();
    let windlass = Windlass::on(&home);
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["status", "billing"])), @r"
    project   billing (compose)
    runs      billing:v1 (2a210cab2c0d) since 0000-00-00 00:00 UTC (400d)
    state     DOWN
    problem   web is unhealthy; putting back what ran before failed for the same
        reason
    next      windlass rollback billing
    images    r.io/acme/billing
    tags      *

    RUNNING        STATE      IMAGE                   DIGEST
    billing-web-1  unhealthy  r.io/acme/billing:live  2a210cab2c0d

    WHEN (UTC)         ID        STATUS           RELEASE  TOOK  BY    COMMIT
    0000-00-00 (400d)  XXXXXXXX  rollback_failed  noisy    0.0s  root  -
      web is unhealthy; putting back what ran before failed for the same reason
    0000-00-00 (400d)  XXXXXXXX  succeeded        v1       0.0s  root  -
    ");
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["list"])), @r"
    WHEN (UTC)         ID        PROJE…  STATUS           RELEA…  TOOK  BY    COMMIT
    0000-00-00 (400d)  XXXXXXXX  billi…  rollback_failed  noisy   0.0s  root  -
      web is unhealthy; putting back what ran before failed for the same reason
    0000-00-00 (400d)  XXXXXXXX  shop    rolled_back      noisy   0.0s  root  -
      web is unhealthy
    0000-00-00 (400d)  XXXXXXXX  a-pro…  succeeded        v1      0.0s  root  -
    0000-00-00 (400d)  XXXXXXXX  drift…  succeeded        v1      0.0s  root  -
    0000-00-00 (400d)  XXXXXXXX  mailer  succeeded        v1      0.0s  root  -
    0000-00-00 (400d)  XXXXXXXX  billi…  succeeded        v1      0.0s  root  -
    0000-00-00 (400d)  XXXXXXXX  shop    succeeded        v1      0.0s  root  -
    ");
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["rollback", "shop", "--list"])), @r"
    windlass rollback shop goes nowhere: there is nothing older to go back to:
        r.io/acme/shop:v1 (751b3b1cf5e5) runs, the oldest good release of shop that
        no rollback has left; `windlass rollback shop --list` shows all, and --to ID
        goes to any good one

    WHEN (UTC)         ID        STATUS       RELEASE             ROLLBACK
    0000-00-00 (400d)  XXXXXXXX  rolled_back  shop:noisy (cfc22…  no: it did not su…
    0000-00-00 (400d)  XXXXXXXX  succeeded    shop:v1 (751b3b1c…  runs now
    ");
    let wide = windlass.on_screen(250, &["list", "--wide"]);
    assert!(wide.lines().skip(1).any(|line| line.contains("rollback_failed") && line.width() > 80), "{wide}");
}

#[test]
fn each_outcome_ends_with_what_runs_and_what_to_type() {
    let (home, _daemon) = bad_night();
    let windlass = Windlass::on(&home);
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["deploy", "shop", "v2"])), @r"
    queued XXXXXXXXXXXXXXXXXXXXXXXXXX at 0000-00-00 00:00:00 UTC: shop:v2
    00:00:00 shop:v2 (f21b6f6bf640) replaces shop:v1 (751b3b1cf5e5)
    ✓ 00:00:00 [1/5] pull shop:v2 (f21b6f6bf640)  0.0 s
    ✓ 00:00:00 [2/5] keep 2 images from being pruned  0.0 s
    ✓ 00:00:00 [3/5] pin shop:live to f21b6f6bf640  0.0 s
    ✓ 00:00:00 [4/5] apply web  0.0 s
    ✓ 00:00:00 [5/5] await healthy web  0.0 s
    succeeded XXXXXXXXXXXXXXXXXXXXXXXXXX in 0.0 s: shop:v2 (f21b6f6bf640) is in
        service
    ");
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["deploy", "shop", "noisy"])), @r"
    queued XXXXXXXXXXXXXXXXXXXXXXXXXX at 0000-00-00 00:00:00 UTC: shop:noisy
    00:00:00 shop:noisy (cfc2233385b1) replaces shop:v2 (f21b6f6bf640)
    ✓ 00:00:00 [1/5] pull shop:noisy (cfc2233385b1)  0.0 s
    ✓ 00:00:00 [2/5] keep 2 images from being pruned  0.0 s
    ✓ 00:00:00 [3/5] pin shop:live to cfc2233385b1  0.0 s
    ✓ 00:00:00 [4/5] apply web  0.0 s
    00:00:00 [5/5] await healthy web failed after 0.0 s: web is unhealthy
      shop-web-1: unhealthy
        health check: exit 1: no answer
        | cannot reach the database
    00:00:00 going back to shop:v2 (f21b6f6bf640)
    ✓ 00:00:00 [1/4] pull shop:live (f21b6f6bf640)  0.0 s
    ✓ 00:00:00 [2/4] pin shop:live to f21b6f6bf640  0.0 s
    ✓ 00:00:00 [3/4] apply web  0.0 s
    ✓ 00:00:00 [4/4] await healthy web  0.0 s
    rolled_back XXXXXXXXXXXXXXXXXXXXXXXXXX in 0.0 s: web is unhealthy
      shop:v2 (f21b6f6bf640) is in service again
      all lines: windlass follow XXXXXXXXXXXXXXXXXXXXXXXXXX
    ");
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["deploy", "shop", "nope"])), @r"
    queued XXXXXXXXXXXXXXXXXXXXXXXXXX at 0000-00-00 00:00:00 UTC: shop:nope
    abandoned XXXXXXXXXXXXXXXXXXXXXXXXXX in 0.0 s: cannot resolve
        r.io/acme/shop:nope: manifest unknown
      nothing was touched
    ");
    home.world.state().behaviours.insert(Digest::of(b"shopv2"), Behaviour::Unhealthy);
    assert_snapshot!(steady(&windlass, &windlass.on_screen(80, &["deploy", "shop", "noisy"])), @r"
    queued XXXXXXXXXXXXXXXXXXXXXXXXXX at 0000-00-00 00:00:00 UTC: shop:noisy
    00:00:00 shop:noisy (cfc2233385b1) replaces shop:v2 (f21b6f6bf640)
    ✓ 00:00:00 [1/5] pull shop:noisy (cfc2233385b1)  0.0 s
    ✓ 00:00:00 [2/5] keep 2 images from being pruned  0.0 s
    ✓ 00:00:00 [3/5] pin shop:live to cfc2233385b1  0.0 s
    ✓ 00:00:00 [4/5] apply web  0.0 s
    00:00:00 [5/5] await healthy web failed after 0.0 s: web is unhealthy
      shop-web-1: unhealthy
        health check: exit 1: no answer
        | cannot reach the database
    00:00:00 going back to shop:v2 (f21b6f6bf640)
    ✓ 00:00:00 [1/4] pull shop:live (f21b6f6bf640)  0.0 s
    ✓ 00:00:00 [2/4] pin shop:live to f21b6f6bf640  0.0 s
    ✓ 00:00:00 [3/4] apply web  0.0 s
    00:00:00 [4/4] await healthy web failed after 0.0 s: web is unhealthy
      shop-web-1: unhealthy
        health check: exit 1: no answer
        | cannot reach the database
    rollback_failed XXXXXXXXXXXXXXXXXXXXXXXXXX in 0.0 s: web is unhealthy
      shop:v2 (f21b6f6bf640) could not be put back for the same reason
      next: windlass status shop; when the cause is gone: windlass rollback shop
      all lines: windlass follow XXXXXXXXXXXXXXXXXXXXXXXXXX
    ");
}
