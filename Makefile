# The two commands: `make run` and `make test`. The others are for those who work on redlet.

CARGO ?= cargo
PORT ?= 6379
ARGS ?=
SEED ?= 72
REDLET = $(or $(CARGO_TARGET_DIR),target)/release/redlet

.PHONY: run test check conformance clients valkey-suite durability bench instructions fuzz miri

# Serves on 127.0.0.1:6379, or on PORT; ARGS are given to redlet as they are. It has save points and keeps its files here:
# ARGS='--dir DIRECTORY' keeps them elsewhere, ARGS='--save ""' keeps none.
run:
	$(CARGO) run --release -p redlet -- --port $(PORT) $(ARGS)

# Everything that must be green. Brings the real servers where it can, and says what it could not.
# SEED is that of the random commands that redlet and a real server are sent in step, of the concurrent scripts, of the
# data that is carried from server to server, and of the kills.
test:
	scripts/peers install || echo "make test: no real server to compare with; redlet is tested alone"
	DIFFERENTIAL_SEED=$(SEED) CONCURRENT_SEED=$(SEED) INTERCHANGE_SEED=$(SEED) DURABILITY_SEED=$(SEED) $(CARGO) test --workspace --features redlet/redis,redlet/fuzzing

# Formatting, lints and documentation, without a warning.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features redlet/redis,redlet/fuzzing -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --features redlet/redis
	$(CARGO) check -p redlet --lib --no-default-features

# The conformance suite alone; URL=redis://... runs it on that server.
conformance:
	CONFORMANCE_URL=$(URL) $(CARGO) test -p client-tests --test conformance $(if $(URL),--no-default-features) -- $(ARGS)

# Real clients in their own languages, on redlet and on real servers; ends with a table of users' documents, clients and servers.
clients:
	scripts/peers install
	$(CARGO) build --release -p redlet
	REDLET_BIN=$(abspath $(REDLET)) client-tests/clients/run --install $(ARGS)

# Valkey's own test suite on redlet, or on a real server with ARGS='--server valkey-9.1'; it takes about three minutes.
valkey-suite:
	$(CARGO) build --release -p redlet
	REDLET_BIN=$(abspath $(REDLET)) scripts/valkey-suite $(ARGS)

# Thousands of kills under load, and much data carried between redlet and the real servers; the better part of an hour.
# TARGETS=redis-8.0,valkey-9.1 kills these instead, ENDS=100 ends earlier.
durability:
	scripts/peers install || echo "make durability: no real server to carry data to"
	$(CARGO) build --release -p redlet
	REDLET_BIN=$(abspath $(REDLET)) DURABILITY_SEED=$(SEED) DURABILITY_TARGETS=$(TARGETS) DURABILITY_ENDS=$(or $(ENDS),4000) \
		$(CARGO) test -p client-tests --test durability
	REDLET_BIN=$(abspath $(REDLET)) INTERCHANGE_SEED=$(SEED) INTERCHANGE_ROUNDS=20 $(CARGO) test -p client-tests --test interchange

# redlet beside the real servers; writes docs/BENCHMARKS.md. It takes two cores for three quarters of an hour, ARGS=--quick for minutes.
# `cargo bench -p benches` has the micro-benches of what happens inside a process.
bench:
	scripts/peers install
	$(CARGO) build --release -p redlet
	REDLET_BIN=$(abspath $(REDLET)) $(CARGO) run --release -p benches --bin compare -- $(ARGS)

# Instructions per request, which may not grow: compared with benches/instructions.txt, or written to it with
# ARGS=--update. It needs valgrind, and flags for one kind of processor would change the counts.
instructions:
	RUSTFLAGS= $(CARGO) run --release -p benches --bin instructions -- $(ARGS)

# Coverage-guided fuzzing; SECONDS for each target.
fuzz:
	server/fuzz/run $(SECONDS)

# The tests of keys and where they lie, under Miri, which sees what memory must not be used for. It needs a nightly toolchain with miri.
miri:
	MIRIFLAGS=-Zmiri-strict-provenance $(CARGO) +nightly miri test -p redlet --lib --no-default-features -- keyspace:: storage::
