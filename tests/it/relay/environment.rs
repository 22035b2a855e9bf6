//! The command's surroundings, and il's own when they are poor.

use std::process::Stdio;

use crate::util::*;

#[test]
fn the_environment_has_one_word_more() {
    let home = check_same(
        "$REC env | cut -d= -f1 | grep -v IL_SESSION | sort; $REC env -u IL_SESSION | wc -l; \
         $REC sh -c 'echo $TERM $LC_ALL $SHLVL'; $REC pwd | sed 's,.*/,,'",
    );
    let ran = run(&home, How::Recorded, "$REC sh -c 'echo $IL_SESSION'");
    assert_eq!(ran.text().trim_end(), home.show()["id"].as_str().expect("an id"));
}

#[test]
fn terminal_variables_are_left_alone() {
    let show = "sh -c 'echo ${TERM-unset} ${COLUMNS-unset} ${LINES-unset}'";
    check_same(&format!(
        "export COLUMNS=7 LINES=9; $REC {show}; unset COLUMNS LINES; TERM=dumb $REC {show}; \
         TERM= $REC {show}; $REC {show} | cat; unset TERM; $REC {show} | cat"
    ));
}

#[test]
fn a_run_inside_a_run_knows_its_parent() {
    let home = check_same("$REC $REC $REC echo nested; $REC sh -c '$REC echo a; $REC echo b'");
    let sessions = home.list();
    assert_eq!(sessions.len(), 6);
    let parent_of = |session: &serde_json::Value| {
        let id = session["id"].as_str().expect("an id");
        let show: serde_json::Value =
            serde_json::from_slice(&home.il(&["show", id, "--json"])).unwrap();
        show["parent"].as_str().map(str::to_owned)
    };
    // Newest first: `echo b` and `echo a`, their shell, and the three of the nest.
    let id = |at: usize| sessions[at]["id"].as_str().map(str::to_owned);
    let parents: Vec<_> = sessions.iter().map(parent_of).collect();
    assert_eq!(parents, [id(2), id(2), None, id(4), id(5), None]);
}

#[test]
fn arguments_are_passed_as_they_are() {
    let show = "printf '<%s>'";
    check_same(&format!(
        "$REC {show} -n --name -- -q '' 'a  b' '*' \"$(printf '\\351\\377')\"; \
         $REC {show} --resume x --help; $REC sh -c 'echo \"$@\"' -- --version"
    ));
    let home = Home::new();
    let ran = run(&home, How::Recorded, "il run -q -- printf '<%s>' --home /nowhere");
    assert_eq!(ran.text(), "<--home></nowhere>");
}

#[test]
fn names_that_are_no_text_are_no_obstacle() {
    check_same(
        "d=$(printf 'dir\\377'); c=$(printf 'c\\376'); mkdir $d; cd $d
         printf '#!/bin/sh\npwd | sed s,.*/,,\necho \"$0\"\n' >$c; chmod +x $c
         $REC ./$c; $REC ./$c >../out; cd ..; rm -r $d",
    );
}

#[test]
fn a_working_directory_that_has_gone_is_no_obstacle() {
    check_same("mkdir gone; cd gone; rmdir ../gone; $REC echo hi; echo $?; $REC cat </dev/null");
}

#[test]
fn a_run_without_a_home_is_a_run() {
    // Neither of the variables that name the store's place is there.
    let home = Home::new();
    for stdin in [Stdio::null(), Stdio::piped()] {
        // Nor does the user's own directory serve: this user has none.
        let mut command = home.detached("unshare");
        command.args(["-U", "--map-user=54321", "il", "run", "sh", "-c", "echo out; exit 3"]);
        command.env_remove("HOME").env_remove("INTENTLOOP_HOME").stdin(stdin);
        let output = output_of(command).unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.status.code(), Some(3));
    }
}
