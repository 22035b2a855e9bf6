//! What is typed with echo off is a secret: a length is kept, and nothing else, anywhere.

use crate::util::*;

const SECRET: &str = "correct-horse-battery";

/// Runs `script`, types the secret at its prompt, and looks for it in everything that is stored.
#[track_caller]
fn check_masked(script: &str, prompt: &str, finally: &str) {
    let home = Home::new();
    let mut term = Term::spawn(home.sh(How::Recorded, script));
    term.expect(prompt);
    term.until("raw mode", Term::is_raw);
    // The prompt can be a moment ahead of echo being off, as for a person.
    std::thread::sleep(std::time::Duration::from_millis(100));
    term.send(format!("{SECRET}\r"));
    term.expect(finally);
    term.wait();
    assert!(!contains(&term.screen, SECRET), "the script itself shows it");
    let stored = home.store_bytes();
    assert!(contains(&stored, finally), "this is the store");
    assert!(!contains(&stored, SECRET), "kept: {script}");
    for stream in ["stdin", "events", "stdout"] {
        assert!(!contains(&home.dump(stream), SECRET), "{stream}: {script}");
    }
}

#[test]
fn a_password_typed_with_echo_off_is_not_kept() {
    let ask = "stty -echo; printf 'Password: '; read p; stty echo; echo; echo length ${#p}";
    check_masked(&format!("$REC sh -c \"{}\"", ask.replace('$', "\\$")), "Password: ", "length 21");
}

#[test]
fn bashs_silent_read_is_not_kept() {
    // `read -s` leaves canonical mode on and takes the line.
    let script = "$REC bash -c 'read -sp \"Token: \" t; echo; echo length ${#t}'";
    check_masked(script, "Token: ", "length 21");
}

#[test]
fn what_real_programs_ask_for_is_not_kept() {
    // su gives up two seconds after a wrong password.
    let su = "as=; [ $(id -u) != 0 ] || as='setpriv --reuid=65534 --clear-groups'; \
              $REC $as su -c true";
    check_masked(su, "Password: ", "uthentication failure");
    let sudo = su.replace("$REC $as su -c true", "$REC timeout --foreground 9 $as sudo -k true");
    check_masked(&sudo, "password for", "try again");
    let passwd = su.replace("su -c true", "passwd");
    check_masked(&passwd, "Current password: ", "password unchanged");
    let key = "ssh-keygen -q -t ed25519 -N other -f key; $REC ssh-keygen -y -f key";
    check_masked(key, "passphrase", "incorrect passphrase");
    let python = "$REC python3 -c 'import getpass; print(\"length\", len(getpass.getpass()))'";
    check_masked(python, "Password: ", "length 21");
}

/// A server for secure shells on this machine, which lets nobody in by password, and those who have
/// the key are asked for one; its port stands in the file `port`.
const SSH_SERVER: &str = r#"
import asyncio, asyncssh

class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True
    def validate_password(self, username, password):
        return False

async def ask(process):
    process.channel.set_echo(False)
    process.stdout.write('Password: ')
    answer = await process.stdin.readline()
    process.stdout.write('\r\nlength %d\r\n' % len(answer.rstrip()))
    process.exit(0)

async def main():
    key = asyncssh.generate_private_key('ssh-ed25519')
    key.write_private_key('key')
    key.write_public_key('key.pub')
    server = await asyncssh.create_server(
        Server, '127.0.0.1', 0, server_host_keys=['key'], authorized_client_keys='key.pub',
        process_factory=ask)
    open('port', 'w').write('%d\n' % server.sockets[0].getsockname()[1])
    await server.wait_closed()

asyncio.run(main())
"#;

#[test]
fn what_a_secure_shell_asks_for_is_not_kept_here_or_there() {
    // The password for the other side, and one that a program there asks for: then it alone knows
    // that nothing is echoed, for the terminal here is raw throughout.
    let here = ("-i none -o PreferredAuthentications=password", "denied");
    let there = ("-t -i key", "length 21");
    for (how, finally) in [here, there] {
        check_masked(
            &format!(
                "cat >server.py <<'END'\n{SSH_SERVER}END\n\
                 umask 077; /usr/bin/python3 server.py & server=$!; trap 'kill $server' EXIT\n\
                 until [ -s port ]; do sleep 0.1; done\n\
                 $REC ssh -F none {how} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
                 -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
                 -o NumberOfPasswordPrompts=1 -p $(cat port) somebody@127.0.0.1"
            ),
            "assword: ",
            finally,
        );
    }
}

#[test]
fn a_prompt_written_byte_by_byte_is_a_prompt() {
    let script = "stty -echo; for c in P a s s w o r d :; do printf $c; sleep 0.01; done; read p; \
                  stty echo; echo; echo length ${#p}";
    let script = format!("$REC sh -c \"{}\"", script.replace('$', "\\$"));
    check_masked(&script, "Password:", "length 21");
}

#[test]
fn a_raw_program_that_asks_for_a_password_gets_it_unkept() {
    // Terminal programs and remote shells keep the terminal raw: only the prompt tells.
    for prompt in [
        "Password: ",
        "user@host's password: ",
        "[sudo] password for me: ",
        "Enter passphrase for key '/home/me/.ssh/id_ed25519': ",
        "PIN: ",
    ] {
        let home = Home::new();
        let len = (SECRET.len() + 1).to_string();
        let script = format!(
            "stty raw -echo; printf \"{prompt}\"; head -c {len} | cksum; stty sane; echo END"
        );
        home.write("ask", script);
        let mut term = Term::spawn(home.il_run(&["sh", "ask"]));
        term.expect(prompt);
        term.send(format!("{SECRET}\r"));
        term.expect("END");
        term.wait();
        assert!(!contains(&home.store_bytes(), SECRET), "kept after the prompt {prompt:?}");
    }
}

#[test]
fn the_length_of_a_secret_and_what_follows_it_are_kept() {
    let home = Home::new();
    let script = "stty -echo; printf 'Password: '; read p; stty echo; echo READY; read q; echo $q";
    let mut term = Term::spawn(home.il_run(&["sh", "-c", script]));
    term.expect("Password: ");
    std::thread::sleep(std::time::Duration::from_millis(100));
    term.send(format!("{SECRET}\r"));
    term.expect("READY");
    term.send("in the open\r");
    let ran = term.finish();
    assert!(ran.status.success());
    let typed = home.dump("stdin");
    assert!(typed.ends_with(b"in the open\r"), "{}", typed.escape_ascii());
    assert!(!contains(&typed, SECRET));
    let events = home.dump("events");
    assert!(contains(&events, "secret"), "{}", events.escape_ascii());
}

#[test]
fn echo_off_without_lines_is_no_secret() {
    // A full-screen program's keys must be kept: echo is off, but so is canonical mode.
    let home = Home::new();
    let mut term = Term::spawn(home.il_run(&["fullscreen"]));
    term.expect("<drawing 1");
    term.send("xyz");
    term.expect("<key 122>");
    term.send("q");
    term.finish();
    assert_eq!(home.dump("stdin"), b"xyzq");
}
