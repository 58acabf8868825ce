# Two commands matter: `cargo run --release -- demo` shows it at work, `make test` checks it. `make test-long` checks more, and longer.

CARGO ?= cargo
WASM = wasm32-unknown-unknown
DENY_VERSION = 0.20.2
MDBOOK_VERSION = 0.5.4
FUZZ_VERSION = 0.13.2
WORLDS ?= 100000
SEED ?= 0
FUZZ_SECS ?= 600
FUZZ_LEN_MAX ?= 1024
# As -s none: without the address sanitizer.
FUZZ_FLAGS ?=
FUZZ_TARGETS = $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))

.PHONY: test test-long install fmt clippy wasm web unit net page-test api-test docs deny book reference worlds bench bench-compare bench-api bench-library bench-sync fuzz demo clean

# Building takes the most time here; of the tests, those in tests/process take five minutes, and those in tests/hostile two.
test: fmt clippy wasm unit docs deny
	@echo "all checks passed"

# The same, with the long scenarios on network namespaces (four minutes instead of one), mutated inputs for each
# decoder (a minute for each instead of three seconds), an older binary, built from the history, beside this one (tests/compat), the page in
# browsers, and schemathesis on the API.
test-long: export SWARM_LONG_TESTS = 1
test-long: test page-test api-test

# The optimised build, as `swarm` in ~/.cargo/bin, with the page that receives.
install: web
	$(CARGO) install --path . --locked --profile dist

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# Pure crates build for the browser too, each without the rest; and the WebAssembly face on top of them.
wasm:
	rustup target list --installed | grep -qx $(WASM) || rustup target add $(WASM)
	set -e; for crate in core engine carrier sync library sim web; do \
	  $(CARGO) clippy -p swarm-$$crate --lib --locked --target $(WASM) -- -D warnings; \
	done

# The WebAssembly face as packages/web/wasm/swarm_web.js, swarm_web_bg.wasm and their .d.ts; fails if a visitor downloads too much.
web:
	rustup target list --installed | grep -qx $(WASM) || rustup target add $(WASM)
	$(CARGO) xtask web

# Always --workspace: for one package alone, cargo would build the dependencies a second time with fewer features.
# Among them: tests on network namespaces, which say NOT RUN and why without root, ip, tc and nft; mutated inputs to every decoder
# (SWARM_FUZZ_SECS a target, SWARM_FUZZ_SEED); and the shell lines of README and docs.
unit:
	$(CARGO) test --workspace --locked

# The tests on network namespaces alone, long ones too, with their figures; fails where they cannot run.
net:
	SWARM_NET_TESTS=required $(CARGO) test --workspace --locked --test net

# The pages in browsers, against faked daemons and real ones, and the packages for pages and Node.js: a quarter of an hour. Installs browsers and tools as root, or says NOT RUN and why.
page-test: web
	$(CARGO) build --workspace --locked --bin swarm
	SWARM=$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/swarm web/tests/run.sh

# A daemon beside its OpenAPI document, for minutes: validated, and asked by schemathesis, which pip gets into target/api-test.
api-test:
	$(CARGO) build --workspace --locked --bin swarm
	tests/api/run.sh $${CARGO_TARGET_DIR:-target}/debug/swarm

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

# Licences, bans and sources.
deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked --version $(DENY_VERSION)
	$(CARGO) deny check bans licenses sources

# README and docs as a book: target/book/index.html.
book:
	mdbook --version 2>/dev/null | grep -qx "mdbook v$(MDBOOK_VERSION)" || $(CARGO) install mdbook --locked --no-default-features --features search --version $(MDBOOK_VERSION)
	mdbook build docs --dest-dir $(CURDIR)/target/book

# Worlds of replicas that are kept the same, on all cores: WORLDS of them from SEED on, and what they did; then each planted bug. A
# hundred thousand take minutes, and ten million hours.
worlds:
	$(CARGO) run --release --locked -p swarm-sim -- sync --worlds $(WORLDS) --seed $(SEED)
	$(CARGO) run --release --locked -p swarm-sim -- sync --bugs --worlds 1000 --seed $(SEED)
	$(CARGO) run --release --locked -p swarm-sim -- team --worlds $(WORLDS) --seed $(SEED)
	$(CARGO) run --release --locked -p swarm-sim -- team --bugs --worlds 1000 --seed $(SEED)

# Writes the generated parts of docs/reference anew, which `make test` compares.
reference:
	REGENERATE=1 $(CARGO) test --workspace --locked --bin swarm cli::reference

bench:
	$(CARGO) bench --locked --bench micro --bench crowd

# Beside curl, rsync, aria2, libtorrent and others; CRATES=1 adds sendme and rqbit, which take minutes to build.
bench-compare:
	benches/compare/install.sh
	$(CARGO) bench --locked --bench compare -- $(COMPARE)

# The daemon's API: files beside nginx, status, listeners of events, clients that mean harm.
bench-api:
	benches/compare/install.sh
	$(CARGO) bench --locked --bench compare -- api $(COMPARE)

# Libraries of many small files beside an rsync daemon: time, memory, restart and rest.
bench-library:
	benches/compare/install.sh sync
	$(CARGO) bench --locked --bench compare -- library $(COMPARE)

# Folders kept the same, beside rsync, Unison and rclone. What is installed for it makes tests of deltas run on XFS and Btrfs, too.
bench-sync:
	benches/compare/install.sh sync
	$(CARGO) bench --locked --bench compare -- sync $(COMPARE)

# Every target in turn, for so many seconds each; FUZZ_TARGETS=ticket picks one. What is found new stays in fuzz/target.
# libFuzzer wants flags that stable rustc keeps to itself.
fuzz:
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked --version $(FUZZ_VERSION)
	set -e; for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/target/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $(FUZZ_FLAGS) $$target fuzz/target/corpus/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECS) -max_len=$(FUZZ_LEN_MAX); \
	done

demo:
	$(CARGO) run --release --locked -- demo

clean:
	$(CARGO) clean
