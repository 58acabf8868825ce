# Two commands matter: `cargo run --release -- demo` shows it at work, `make test` checks everything.

CARGO ?= cargo
WASM = wasm32-unknown-unknown
DENY_VERSION = 0.20.2
FUZZ_VERSION = 0.13.2
FUZZ_SECS ?= 600

.PHONY: test fmt clippy wasm unit net docs deny bench bench-compare fuzz demo clean

test: fmt clippy wasm unit docs deny
	@echo "all checks passed"

fmt:
	$(CARGO) fmt --check

clippy:
	$(CARGO) clippy --all-targets --locked -- -D warnings

# The pure rooms build for the browser too.
wasm:
	rustup target list --installed | grep -qx $(WASM) || rustup target add $(WASM)
	$(CARGO) clippy --lib --locked --target $(WASM) -- -D warnings

# Tests on network namespaces are among them; without root, ip, tc and nft they say NOT RUN and why.
unit:
	$(CARGO) test --locked

# These alone, with their figures; fails where they cannot run.
net:
	SWARM_NET_TESTS=required $(CARGO) test --locked --test net

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked

# Licences, bans and sources.
deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked --version $(DENY_VERSION)
	$(CARGO) deny check bans licenses sources

bench:
	$(CARGO) bench --locked --bench micro --bench crowd

# Beside curl, rsync, aria2, libtorrent and others; CRATES=1 adds sendme and rqbit, which take minutes to build.
bench-compare:
	benches/compare/install.sh
	$(CARGO) bench --locked --bench compare -- $(COMPARE)

# libFuzzer wants flags that stable rustc keeps to itself.
fuzz:
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked --version $(FUZZ_VERSION)
	mkdir -p fuzz/target/corpus
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run swarm_ops fuzz/target/corpus fuzz/corpus/swarm_ops -- -max_total_time=$(FUZZ_SECS) -max_len=96

demo:
	$(CARGO) run --release --locked -- demo

clean:
	$(CARGO) clean
