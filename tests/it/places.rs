//! Where a store may stand: links in its place, directories and files of others, and filesystems
//! that are programs. Whatever is wrong there, the command runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::house::{House, said};
use crate::plain::{il_path, program, run, stdout, succeed};

/// A store in `.intentloop` of a home that `arrange` has prepared. The command's status comes
/// through; what il says of the recording and of the list begins so.
fn check(arrange: impl FnOnce(&Path), recorder: &str, list: &str) {
    let house = House::new();
    let home = house.dir();
    fs::create_dir_all(&home).expect("a home");
    arrange(&home);
    let il = |words: &[&str]| -> Output {
        let mut command = house.il(words);
        run(command.env_remove("INTENTLOOP_HOME").env("HOME", &home))
    };
    let dir = home.join(".intentloop").display().to_string();
    let (status, out, err) = said(&il(&["run", "--", "sh", "-c", "echo out; exit 4"]));
    assert_eq!((status, out.as_str()), (Some(4), "out\n"), "{err}");
    assert_eq!(err.replace(&dir, "DIR"), recorder);
    let (_, _, err) = said(&il(&["list"]));
    assert_eq!(err.replace(&dir, "DIR").lines().next().unwrap_or(""), list);
}

#[test]
fn a_link_to_a_directory_is_a_home_and_a_link_to_anything_else_is_not() {
    let links_to = |target: &'static str| {
        move |home: &Path| symlink(target, home.join(".intentloop")).expect("a link")
    };
    let elsewhere = |home: &Path| {
        fs::create_dir(home.join("elsewhere")).expect("a directory");
        links_to("elsewhere")(home);
    };
    check(elsewhere, "", "");
    let exists = "il: not recorded: cannot create DIR: File exists\n";
    check(links_to("nowhere"), exists, "il list: no store at DIR/store.il");
    check(links_to("/dev/null"), exists, "il list: cannot open DIR/store.il: Not a directory");
    let link = "cannot open DIR/store.il: it is a symbolic link";
    let hint = "hint: move the store itself there, or name its directory with --home";
    check(links_to(".intentloop"), exists, &format!("il list: {link}"));
    let of_file = |home: &Path| {
        fs::create_dir(home.join(".intentloop")).expect("a directory");
        fs::write(home.join("target"), "kept").expect("a file");
        symlink("../target", home.join(".intentloop/store.il")).expect("a link");
    };
    check(of_file, &format!("il: not recorded: {link}\n{hint}\n"), &format!("il list: {link}"));
}

/// A script to run in a mount namespace of its own, as its root.
fn in_namespace(house: &House, script: &str) -> Command {
    let is_root = run(program("unshare").args(["-m", "true"])).status.success();
    let mut command: Command = program("unshare");
    command.arg(if is_root { "-m" } else { "-rm" }).args(["sh", "-ec", script]);
    command.env("INTENTLOOP_HOME", house.dir()).current_dir(house.dir());
    command
}

#[test]
fn a_store_of_another_user_is_left_alone() {
    let house = House::new();
    house.record(&[], "echo mine");
    // Root gives its file away; others see one of root's in its place.
    let script = "
        if ! chown 12345 store.il 2>/dev/null; then mount --bind /etc/passwd store.il; fi
        before=$(sha256sum store.il)
        il run sh -c 'echo out; exit 4' 2>err || echo status $?
        il list 2>>err || echo status $?
        [ \"$before\" = \"$(sha256sum store.il)\" ] && echo untouched
        sed 's/ cannot open [^ ]*store.il://; s/user [0-9]*$/user N/' err; rm err";
    let want = "out\nstatus 4\nstatus 1\nuntouched\n\
        il: not recorded: it belongs to user N\n\
        hint: name a directory of your own with --home\nil list: it belongs to user N\n\
        hint: name a directory of your own with --home\n";
    assert_eq!(stdout(&mut in_namespace(&house, script)), want);
}

#[test]
fn a_directory_of_another_user_is_named_as_such() {
    // Where the build lies, others may not look.
    let il = std::env::temp_dir().join(format!("il-of-another-{}", std::process::id()));
    succeed(program("cp").arg(il_path()).arg(&il));
    let is_root = fs::metadata("/proc/self").expect("proc(5)").uid() == 0;
    let mut command = program(if is_root { "setpriv" } else { "env" });
    if is_root {
        command.args(["--reuid", "12345", "--regid", "12345", "--clear-groups"]);
    }
    let theirs = "/root";
    let said = said(&run(command.arg(&il).arg("list").env("INTENTLOOP_HOME", theirs)));
    fs::remove_file(&il).expect("the copy");
    let err = format!(
        "il list: cannot open {theirs}/store.il: its directory belongs to user 0\n\
         hint: name a directory of your own with --home\n"
    );
    assert_eq!(said, (Some(1), String::new(), err));
}

#[test]
fn long_work_shows_a_line_on_a_terminal_and_takes_it_away() {
    let house = House::new();
    for _ in 0..3 {
        house.record(&[], "seq 100000 110000");
    }
    // Every read takes long.
    let command = "strace -fqq -o /dev/null -e inject=pread64:delay_enter=20000 il verify";
    let mut script = program("script");
    script.env("INTENTLOOP_HOME", house.dir()).args(["-qec", command, "/dev/null"]);
    let shown = stdout(&mut script);
    let (line, rest) = shown.rsplit_once("\r\x1b[K").expect("a line that went");
    assert!(line.starts_with("\ril verify: "), "{shown:?}");
    assert!(rest.contains("whole: 3 sessions"), "{shown:?}");
    let percents: Vec<u32> = line
        .split("\ril verify: ")
        .skip(1)
        .map(|step| {
            step.trim_end_matches("\x1b[K").trim_end_matches('%').parse().expect("a number")
        })
        .collect();
    assert!(percents.len() > 1 && percents.is_sorted(), "{percents:?}");
    // Elsewhere there is none.
    let piped = stdout(&mut house.il(&["verify"]));
    assert!(!piped.contains('\r'), "{piped:?}");
}

/// Stands between il and a kernel, and gives the answers of one whose filesystem is `$F_TYPE`: what
/// kind it is, and that it neither sets room aside nor makes holes. A file mapped to be written
/// would be another's memory there, and is the end of il here.
const KERNEL: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

int fstatfs(int fd, struct statfs *fs) {
    int failed = syscall(SYS_fstatfs, fd, fs);
    if (!failed)
        fs->f_type = strtoul(getenv("F_TYPE"), 0, 16);
    return failed;
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    errno = EOPNOTSUPP;
    return -1;
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED)
        abort();
    return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}
"#;

/// Builds [`KERNEL`] in `dir`; what to preload.
pub fn foreign_kernel(dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).expect("a directory");
    fs::write(dir.join("kernel.c"), KERNEL).expect("its source");
    let mut cc = program("cc");
    succeed(cc.args(["-shared", "-fPIC", "-o", "kernel.so", "kernel.c"]).current_dir(dir));
    dir.join("kernel.so")
}

/// Two recorders at work in `$INTENTLOOP_HOME`, of which one is killed; what is left of both, and
/// what keeping house does there.
const ONE_IS_KILLED: &str = r#"
mkfifo keys; exec 9<>keys
for name in killed ended; do
    mkfifo pipe-$name; cat pipe-$name >$name &
    il run -q -n $name sh -c 'seq 3000; echo all; read end; seq 3000' <keys >pipe-$name 2>&1 &
    [ $name = ended ] || killed=$!
done
until [ $(cat killed ended | grep -c all) = 2 ]; do sleep 0.01; done
until il list --json | jq -r .id | while read id; do il dump stdout $id; done |
    grep -c all | grep -qx 2; do sleep 0.01; done
grep -c store- /proc/$killed/maps || :
kill -9 $killed; echo >&9; echo >&9; wait
il list --json | jq -r '[.name, .status] | join(" ")' | sort
il dump stdout $(il list --json | jq -r 'select(.name == "killed").id') | cmp - killed && echo same
il dump stdout $(il list --json | jq -r 'select(.name == "ended").id') | cmp - ended && echo same
il verify >/dev/null && echo whole
il prune --status lost >/dev/null
il compact >/dev/null
il list --json | jq -r .name
il dump stdout | cmp - ended && echo same
il verify >/dev/null && echo whole
ls $INTENTLOOP_HOME | tr 0-9a-f N
"#;

/// What that prints where the store is nobody's but this machine's.
const ON_FOREIGN_GROUND: &str = "0\nended succeeded\nkilled lost\nsame\nsame\nwhole\nended\nsame\n\
    whole\nstorN-NNNNNNNN.il\n";

#[test]
fn a_filesystem_that_others_may_write_gets_a_store_of_this_machines_own_and_plain_writes() {
    // statfs(2) has the numbers. The last stands for one that nobody knows yet.
    for (name, f_type) in [
        ("NFS", "6969"),
        ("SMB", "517b"),
        ("SMB 2", "fe534d42"),
        ("CIFS", "ff534d42"),
        ("9p", "01021997"),
        ("FUSE", "65735546"),
        ("Ceph", "00c36400"),
        ("AFS", "5346414f"),
        ("vboxsf", "786f4256"),
        ("unknown", "12345678"),
    ] {
        let house = House::new();
        let scratch = house.dir();
        let kernel = foreign_kernel(&scratch);
        let mut sh = program("sh");
        sh.args(["-ec", ONE_IS_KILLED]).current_dir(&scratch).env("F_TYPE", f_type);
        sh.env("LD_PRELOAD", kernel).env("INTENTLOOP_HOME", scratch.join("home"));
        assert_eq!(stdout(&mut sh), ON_FOREIGN_GROUND, "{name}");
    }
}

#[test]
fn on_a_filesystem_that_is_a_program_no_killed_recorder_loses_anything() {
    let house = House::new();
    let scratch = house.dir();
    let kernel = foreign_kernel(&scratch);
    // Where the kernel lets nobody mount one, its answers are given by another.
    let script = format!(
        "mkdir under home
        if bindfs --no-allow-other under home 2>/dev/null; then
            trap 'umount -l home' EXIT
            stat -f -c %t home | grep -qx 65735546
        else
                export F_TYPE=65735546 LD_PRELOAD={}
        fi
        export INTENTLOOP_HOME=$PWD/home
        {ONE_IS_KILLED}",
        kernel.display()
    );
    assert_eq!(stdout(&mut in_namespace(&house, &script)), ON_FOREIGN_GROUND);
}
