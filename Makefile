# Two commands for a fresh machine: `make run` and `make test`. They set up everything they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
PREFIX ?= $(HOME)/.local
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup run install package test torture long-life scale-check fuzz check bench bench-torchvision bench-peers verify-fddb golden-table experiment

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-18s %s\n", $$1, $$2}'

setup: ## system packages, libtorch, the pretrained backbone; finished steps are skipped
	@scripts/setup.sh

run: setup ## open the app on the built-in sample (without a display: the same job headless)
	@scripts/run.sh

install: setup ## install into PREFIX (~/.local), libtorch into the user's data folder; the checkout is not needed afterwards
	QUARRY_PACKAGE=1 $(CARGO) build --release
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && scripts/stage.sh "$$work/root" "$(TARGET)/release" \
		&& mkdir -p "$(PREFIX)" && cp -r "$$work/root/." "$(PREFIX)/"
	"$(PREFIX)/bin/quarry" setup --from "$${LIBTORCH:-.}" || "$(PREFIX)/bin/quarry" setup
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "make install: $(PREFIX)/bin is not in PATH; add it there" >&2 ;; esac

package: setup ## target/package/: a .tar.gz and a .deb with binary, library, desktop file, icon, completions and manual pages
	QUARRY_PACKAGE=1 $(CARGO) build --release
	@scripts/package.sh "$(TARGET)/package" "$(TARGET)/release"

test: setup ## build and run every test
	@scripts/test.sh

torture: setup ## kill Quarry 300 times (KILLS=), review for 50,000 verdicts (VERDICTS=); SEED= repeats one
	QUARRY_TORTURE_KILLS=$(or $(KILLS),300) QUARRY_TORTURE_VERDICTS=$(or $(VERDICTS),50000) $(if $(SEED),QUARRY_TORTURE_SEED=$(SEED)) \
		$(CARGO) test --test torture -- --nocapture --test-threads=1

long-life: setup ## eight hours of review and training at speed, VERDICTS=50000: memory, file handles, threads, logs, backups
	QUARRY_TORTURE_VERDICTS=$(or $(VERDICTS),50000) $(if $(SEED),QUARRY_TORTURE_SEED=$(SEED)) \
		$(CARGO) test --test torture -- --nocapture --test-threads=1 long_life

scale-check: setup ## mine 50,000 images (IMAGES=), killed three times, and in 64 merged shards (SHARDS=); compare results and memory
	$(CARGO) build --release
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && scripts/scale_check.py "$(TARGET)/release/quarry" "$$work/scale" $(or $(IMAGES),50000) $(or $(SHARDS),64)

fuzz: ## fuzz every reader of outside bytes, MINUTES=10 each (TARGET=roc for one); continues with the existing corpora
	@CARGO="$(CARGO)" scripts/fuzz.sh $(or $(MINUTES),10) $(TARGET)

check: setup ## what CI runs, fast checks first: format, licences and sources, clippy, docs, tests
	$(CARGO) fmt --all --check
	@scripts/deny.sh
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	@scripts/test.sh

bench: setup ## criterion benchmarks
	$(CARGO) bench

bench-torchvision: setup ## Quarry and torchvision in turn, on the same image
	@scripts/bench_torchvision.sh

bench-peers: setup ## Quarry, torchvision, ONNX Runtime and OpenVINO in turn: training and detection, f32 and bf16, one table
	@scripts/bench_peers.sh

experiment: setup ## reproduce docs/experiments.md: make experiment FDDB=... BACKGROUND=... [OUT=experiment]; resumes where it was stopped
	@test -n "$(FDDB)" -a -n "$(BACKGROUND)" || { echo "make experiment: needs FDDB=<folder of FDDB> BACKGROUND=<folder of images without faces>" >&2; exit 2; }
	$(CARGO) build --release
	@scripts/experiment.sh "$(FDDB)" "$(BACKGROUND)" "$(or $(OUT),experiment)"
	@python3 scripts/experiment_report.py "$(or $(OUT),experiment)"

verify-fddb: setup ## reproduce README's table of FDDB's evaluation: make verify-fddb FDDB=... REFERENCES=<folders with dets.txt and the official ROC files>
	@test -n "$(FDDB)" -a -n "$(REFERENCES)" || { echo "make verify-fddb: needs FDDB=<folder of FDDB> REFERENCES=<folder with NAME/dets.txt, NAME/DiscROC.txt, NAME/ContROC.txt>" >&2; exit 2; }
	$(CARGO) build --release
	@scripts/verify_fddb.sh "$(FDDB)" "$(REFERENCES)" "$(TARGET)/release/quarry"

golden-table: setup ## each operator's largest deviation from torchvision's numbers
	@CARGO="$(CARGO)" scripts/golden_table.sh
