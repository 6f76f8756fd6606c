# ordersaga. `make run` and `make test` need Go, git and make; the rest they get themselves or ask for.

SHELL := /bin/sh
GO    ?= go
BIN   := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The race detector needs cgo and a C compiler; the go command knows whether it has them.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race,)

# Each part gets servers of its own: the broker's tests restart it and delete queues at that moment, after which RabbitMQ
# 3.10 may have lost the supervisor of dead-lettering for good, and no queue that dead-letters at least once starts any more.

# Everything but what runs alone: the crash matrix needs the processors, the end-to-end tests stop and kill servers.
UNIT = $$($(GO) list ./... | grep -v -e /test/e2e$$ -e /test/matrix$$)

.PHONY: golden help run demo bench bench-growth build service devstack test test-unit test-matrix matrix long test-e2e test-bench test-devstack upgrade check fix tools docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: build ## everything on this machine: stack, service, demo stock, a first order; Ctrl-C stops it
	@$(BIN)/devstack up -- $(BIN)/demo -binary $(BIN)/ordersaga welcome

demo: build ## throw-away stack: one order down every path, each timeline as a table
	@$(BIN)/devstack exec -- $(BIN)/demo -binary $(BIN)/ordersaga tour

bench: service devstack ## measure floor, naive saga and ordersaga in one run; QUICK=1 only looks whether it works
	@CGO_ENABLED=0 $(GO) -C bench build -o ../$(BIN)/bench .
	@$(BIN)/devstack exec -- $(BIN)/bench -binary $(BIN)/ordersaga $(if $(filter 1,$(QUICK)),--quick) $(ARGS)

bench-growth: devstack ## what operations cost at 10 thousand, 100 thousand and 1 million events; name a server with DEVSTACK_EXTERNAL=mongodb MONGODB_URI=…
	@CGO_ENABLED=0 $(GO) -C bench build -o ../$(BIN)/growth ./growth
	@$(BIN)/devstack exec --only mongodb -- $(BIN)/growth $(ARGS)

build: service devstack ## bin/ordersaga, bin/demo and bin/devstack

service:
	@test -e $(BIN)/ordersaga || echo "ordersaga: building the service; the first build takes a minute or two" >&2
	@CGO_ENABLED=0 $(GO) build -ldflags '-X main.version=$(VERSION)' -o $(BIN)/ordersaga ./cmd/ordersaga
	@CGO_ENABLED=0 $(GO) build -o $(BIN)/demo ./test/demo

devstack:
	@devstack/build

# A part that fails does not keep the others from running: one run tells everything that is wrong.
test: devstack ## every test, on the real stack; with -race where a C compiler is
	@$(if $(RACE),:,echo "make test: no C compiler, so the tests run without -race")
	@trap 'exit 130' INT TERM; failed=; \
	part() { name=$$1; shift; "$$@" || failed="$$failed $$name"; }; \
	part test-unit $(BIN)/devstack exec -- $(MAKE) --no-print-directory test-unit; \
	part test-matrix $(BIN)/devstack exec --only temporal -- $(MAKE) --no-print-directory test-matrix; \
	part test-e2e $(BIN)/devstack exec -- $(MAKE) --no-print-directory test-e2e; \
	part test-bench $(BIN)/devstack exec --only mongodb -- $(MAKE) --no-print-directory test-bench; \
	part test-devstack $(MAKE) --no-print-directory test-devstack; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed (one alone: bin/devstack exec -- make test-…)" >&2; exit 1; fi

matrix: devstack ## the whole crash matrix, some random sagas, and the mutants that must turn it red
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_WHOLE_MATRIX=1 \
	  $(MAKE) --no-print-directory test-matrix VERBOSE=-v MATRIX_TIMEOUT=60m

long: devstack ## 10,000 random sagas, 10,000 parked ones, and thousands of cancellations, late events and signals
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 90m -count=1 -v -run TestRandomSagas ./test/matrix
	@$(BIN)/devstack exec -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 60m -count=1 -v -run 'TestParkedSagas|TestACrowd|TestCancellationsAtOnce|TestSignalsOutliveTheirRun' ./test/e2e

upgrade: devstack ## a log of an older version is finished by this one, beside an empty Temporal
	@$(BIN)/devstack exec -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 20m -count=1 -v -run 'TestUpgrade$$' ./test/e2e

# These four run under devstack, which sets the environment.
test-unit:
	ORDERSAGA_REQUIRE_STACK=1 $(GO) test $(RACE) -timeout 30m $(UNIT)

test-matrix:
	ORDERSAGA_REQUIRE_STACK=1 $(GO) test $(RACE) $(VERBOSE) -timeout $(or $(MATRIX_TIMEOUT),30m) -count=1 ./test/matrix

test-e2e:
	ORDERSAGA_REQUIRE_STACK=1 $(GO) test $(RACE) -timeout 60m -count=1 ./test/e2e

test-bench:
	ORDERSAGA_REQUIRE_STACK=1 $(GO) -C bench test $(RACE) -timeout 30m ./...

# With other settings of cgo and -race the servers would be compiled once more.
test-devstack:
	cd devstack && CGO_ENABLED=0 $(GO) test -timeout 40m ./...

check: tools ## format, vet, lint, determinism of workflows and flows, import rules, tidy modules, generated files
	$(BIN)/golangci-lint fmt --diff ./...
	$(GO) vet ./...
	$(BIN)/golangci-lint run ./...
	$(BIN)/workflowcheck -config tools/workflowcheck.yaml ./workflows/...
	$(BIN)/flowcheck -config tools/workflowcheck.yaml ./workflows/... ./internal/...
	$(GO) test ./internal/archtest
	cd devstack && test -z "$$(gofmt -l .)" && CGO_ENABLED=0 $(GO) vet ./...
	cd tools && test -z "$$(gofmt -l flowcheck)" && $(GO) vet ./flowcheck && $(GO) test ./flowcheck
	cd bench && ../$(BIN)/golangci-lint fmt --diff ./... && $(GO) vet ./... && ../$(BIN)/golangci-lint run ./...
	$(GO) mod tidy -diff
	$(GO) -C bench mod tidy -diff
	$(GO) run ./cmd/ordersaga config --markdown | diff -u docs/configuration.md -
	$(GO) run ./cmd/ordersaga flows --markdown | diff -u docs/flows.md -
	$(GO) run ./internal/catalogdoc/print markdown | diff -u docs/events.md -
	$(GO) run ./internal/catalogdoc/print asyncapi | diff -u api/asyncapi.yaml -

fix: tools ## format, and write generated files
	$(BIN)/golangci-lint fmt ./...
	cd bench && ../$(BIN)/golangci-lint fmt ./...
	$(MAKE) --no-print-directory docs

golden: build ## record the golden histories anew, after a change that running workflows may see
	@$(BIN)/devstack exec -- $(BIN)/demo -binary $(BIN)/ordersaga record
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -count=1 -run TestTheRegularActivityTakesOverVisibly ./test/matrix -golden $(CURDIR)/workflows/testdata/histories

docs: ## write what is generated: settings, flows, events, asyncapi.yaml
	$(GO) run ./internal/catalogdoc/print markdown > docs/events.md
	$(GO) run ./internal/catalogdoc/print asyncapi > api/asyncapi.yaml
	$(GO) run ./cmd/ordersaga config --markdown > docs/configuration.md
	$(GO) run ./cmd/ordersaga flows --markdown > docs/flows.md

tools:
	@test -e $(BIN)/golangci-lint || echo "ordersaga: building the linters; the first build takes a few minutes" >&2
	@$(GO) -C tools build -o ../$(BIN)/ tool ./flowcheck

clean: ## remove what was built, and the state of make run
	rm -rf $(BIN) .devstack
