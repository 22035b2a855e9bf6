# The whole interface: each target does what its name says on a fresh machine.
#
#   make            the optimised binary, target/release/il
#   make test       everything that must hold, set-up included
#   make check      what needs no run: format, lints, man pages, tidiness, other platforms
#   make bench sim fuzz torture soak
#                   figures, and the store against a simulated disk, broken bytes, kill -9 and
#                   full disks, and thirty recorders at once, for as long as it takes
#   make test-agents  real agents under il, their models played by a mock
#   make static     one file that runs on any Linux of this architecture
#   make install    PREFIX=/usr/local DESTDIR=

SHELL = /bin/bash
CARGO = cargo
PREFIX = /usr/local
DESTDIR =
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
TARGETDIR = $(or $(CARGO_TARGET_DIR),target)
IL = $(TARGETDIR)/release/il
LINKS = intentloop intent
MUSL = $(shell uname -m)-unknown-linux-musl
STATIC = $(TARGETDIR)/$(MUSL)/static/il
STATIC_SIZE_MAX = 1048576
# Other platforms that must at least compile.
PLATFORMS = aarch64-unknown-linux-musl x86_64-apple-darwin

all:
	$(CARGO) build --release --locked

# Installs what the tests drive; says what is missing where it cannot.
setup:
	.ci/setup

check: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --lib
	mandoc -T lint -W warning man/*.[15]
	$(CARGO) test --locked --test it -- tidy:: man::
	for platform in $(PLATFORMS); do \
		$(CARGO) check --locked --lib --bins --target $$platform || exit; \
	done

# Whoever starts this behind a shell's back has it ignore the keys' signals; what the tests run
# would inherit that.
test: setup check static
	env --default-signal=INT,QUIT,HUP $(CARGO) test --locked --no-fail-fast

# How the relay stands to a bare one, script and asciinema, with the bars il has set itself; the
# terminal engine's speed, and its screens beside those of others; what the settled text of agents' recordings recalls and tells twice.
bench: setup all
	$(CARGO) bench --locked --bench relay
	$(CARGO) bench --locked --bench term
	$(CARGO) bench --locked --bench view
	.ci/setup oracles
	$(CARGO) bench --locked --bench term_oracle -- $(abspath $(TARGETDIR))/tools/xterm 100000
	crate=$$($(CARGO) metadata --locked --format-version 1 | \
		jq -r '.packages[] | select(.name == "alacritty_terminal").manifest_path') && \
		python3 tests/term/alacritty_ref.py "$${crate%/*}/tests/ref" $(IL)
	$(CARGO) test --locked --test term -- --nocapture oracles:: engines::
	$(CARGO) test --locked --test term -- --nocapture agents::settled_text_tells

# Cuts the store's workloads before every operation, by kill and by power, far more of them than
# the tests do. IL_SEED=n runs one alone.
sim:
	IL_SIM=long $(CARGO) test --release --locked --test sim -- --nocapture

# Mutated store images, pages and broken foreign files through every reader; IL_FUZZ_CASES images.
fuzz:
	IL_FUZZ_CASES=$(or $(IL_FUZZ_CASES),10000000) \
		$(CARGO) test --release --locked --test fuzz -- --nocapture

# Signals, stops, hang-ups on real terminals, disks that are full at every byte, and kill -9 on
# every file system that can be had here, with long repetitions: IL_KILLS (10000) on each, or on
# those that IL_GROUND names (here, nfs, tmpfs, ext4, xfs, btrfs, fuse2fs, bindfs).
torture: setup
	.ci/setup file-systems
	IL_LONG=1 $(CARGO) test --release --locked --test it -- relay:: full_disk::
	IL_KILLS=$(or $(IL_KILLS),10000) \
		$(CARGO) test --release --locked --test it -- --nocapture store_kill::

# Thirty recorders, and a prune, a backup and a verify every hour, for IL_SOAK_SECONDS (180; a day
# is 86400). In less than twelve hours an hour is a twelfth of it.
soak: all
	$(CARGO) bench --locked --bench relay -- soak

# Runs the agents themselves under il, against a mock of their models' APIs. AGENTS="claude codex"
# runs those alone. Takes minutes, and three gigabytes for the agents.
test-agents: all
	tests/agents/install $(TARGETDIR)/tools $(AGENTS)
	$(TARGETDIR)/tools/driver/bin/python tests/agents/run --il $(IL) --tools $(TARGETDIR)/tools \
		--work $(TARGETDIR)/agents $(AGENTS)

# Proves that the binary asks nothing of the machine it lands on, and that it is small.
static:
	@if .ci/setup $(MUSL); then \
		$(MAKE) --no-print-directory static-musl; \
	else \
		echo "make static: no $(MUSL) here: linking glibc statically instead"; \
		$(MAKE) --no-print-directory static-glibc; \
	fi

# The standard library that rustup brings has a reader of debug information in it, and words for
# every panic; built from its source, small and with panics that end the process on the spot, it
# does without. Where the source cannot be had, or this compiler knows the options by other names,
# the ready-made one serves, and the binary is larger.
STD_FROM_SOURCE = -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
SMALL = -C relocation-model=static -C force-unwind-tables=no -Z location-detail=none \
	-Z unstable-options -C panic=immediate-abort

static-musl:
	if .ci/setup rust-src && RUSTC_BOOTSTRAP=1 RUSTFLAGS='$(SMALL)' $(CARGO) build \
			--profile static --locked --target $(MUSL) $(STD_FROM_SOURCE); then \
		$(MAKE) --no-print-directory static-proof STATIC=$(STATIC); \
	else \
		$(CARGO) build --profile static --locked --target $(MUSL) && \
		$(MAKE) --no-print-directory static-proof STATIC=$(STATIC) STATIC_SIZE_MAX=2097152; \
	fi

static-glibc: STATIC_SIZE_MAX = 2097152
static-glibc: STATIC = $(TARGETDIR)/static-glibc/$(shell uname -m)-unknown-linux-gnu/release/il
static-glibc:
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --release --locked \
		--target $(shell uname -m)-unknown-linux-gnu --target-dir $(TARGETDIR)/static-glibc
	$(MAKE) --no-print-directory static-proof STATIC=$(STATIC) STATIC_SIZE_MAX=$(STATIC_SIZE_MAX)

static-proof:
	file $(STATIC)
	! readelf --program-headers $(STATIC) | grep INTERP
	! readelf --dynamic $(STATIC) | grep NEEDED
	! ldd $(STATIC) 2>&1 | grep '=>'
	env -i $(STATIC) --version
	@size=$$(stat -c %s $(STATIC)); \
	echo "$(STATIC): $$size bytes stripped; the bar is $(STATIC_SIZE_MAX)"; \
	if [ $$size -gt $(STATIC_SIZE_MAX) ]; then \
		echo "make static: OVER THE BAR by $$((size - $(STATIC_SIZE_MAX))) bytes"; \
		[ -z "$(IL_STRICT)" ]; \
	fi

man:
	mandoc -T lint -W warning man/*.[15]
	man -l man/il.1

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 755 $(IL) $(DESTDIR)$(BINDIR)/il
	for link in $(LINKS); do ln -sf il $(DESTDIR)$(BINDIR)/$$link || exit; done
	for page in man/*.[15]; do \
		install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit; \
	done
	for link in $(LINKS); do echo '.so man1/il.1' >$(DESTDIR)$(MANDIR)/man1/$$link.1 || exit; done
	$(IL) completion bash >$(DESTDIR)$(BASHDIR)/il
	for link in $(LINKS); do ln -sf il $(DESTDIR)$(BASHDIR)/$$link || exit; done
	$(IL) completion zsh >$(DESTDIR)$(ZSHDIR)/_il
	$(IL) completion fish >$(DESTDIR)$(FISHDIR)/il.fish
	for link in $(LINKS); do ln -sf il.fish $(DESTDIR)$(FISHDIR)/$$link.fish || exit; done

uninstall:
	for name in il $(LINKS); do \
		rm -f $(DESTDIR)$(BINDIR)/$$name $(DESTDIR)$(MANDIR)/man1/$$name.1 \
			$(DESTDIR)$(BASHDIR)/$$name $(DESTDIR)$(FISHDIR)/$$name.fish || exit; \
	done
	for page in man/*.[15]; do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page#man/} || exit; \
	done
	rm -f $(DESTDIR)$(ZSHDIR)/_il

clean:
	$(CARGO) clean

.PHONY: all setup check test test-agents bench sim fuzz torture soak static static-musl static-glibc static-proof man install uninstall clean
