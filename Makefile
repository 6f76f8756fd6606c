# ordersaga. `make run` and `make test` need Go, git and make; they install the rest, or print what is missing.

SHELL := /bin/sh
GO    ?= go
BIN   := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The race detector needs cgo and a C compiler; `go env CGO_ENABLED` is 1 if both are there.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race,)

# The compiler takes a sixth less CPU time when it collects garbage less often. The limit is for machines with little memory.
COMPILER := GOGC=$(or $(GOGC),400) GOMEMLIMIT=$(or $(GOMEMLIMIT),1GiB)

# go vet runs in make check, with more analyzers than go test has: the targets of make test leave it out.
GOTEST := $(GO) test -vet=off

# Every package except the crash matrix and the end-to-end tests, which have targets of their own. WITHOUT names packages to leave out.
UNIT = $$($(GO) list ./... | grep -v -e /test/e2e$$ -e /test/matrix$$ $(foreach package,$(WITHOUT),-e /$(package:./%=%)$$))

# The packages with tests that need servers. Without servers these tests are skipped: test-unit runs these packages, too.
SERVERS = mongotest\.|rabbitmqtest\.|testenv\.(AMQP|Control|Management|MongoDB|RabbitMQControl|Temporal)\(
INTEGRATION = $$(grep -rlE '$(SERVERS)' --include=*_test.go . | xargs -n 1 dirname | sort -u | grep -v -e ^./bench -e ^./examples -e ^./devstack -e ^./test/e2e$$ -e ^./test/matrix$$ -e ^./test/tutorial$$)

# make test prints which sample of the matrix it runs; ORDERSAGA_SAMPLE=… repeats it.
ORDERSAGA_SAMPLE := $(or $(ORDERSAGA_SAMPLE),$(shell date +%s))

.PHONY: golden help run demo bench bench-growth chaos test-chaos FORCE build service devstack test test-unit integration-packages test-integration test-restart test-matrix matrix mutants long fuzz hostile test-e2e e2e-binaries test-bench test-devstack upgrade check fix tools docs vulncheck sbom clean test-chart test-schemas test-examples test-tutorial

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: ## everything on this machine: stack, service, demo stock, a first order; Ctrl-C stops it
	@began=$$(date +%s); devstack/broker & $(MAKE) --no-print-directory build && wait && \
	  exec $(BIN)/devstack up -- $(BIN)/demo -binary $(BIN)/ordersaga -began $$began welcome

demo: build ## temporary stack: one order down every path, each timeline as a table
	@$(BIN)/devstack exec -- $(BIN)/demo -binary $(BIN)/ordersaga tour

bench: service devstack ## measure floor, naive saga and ordersaga in one run; QUICK=1 only checks that it works
	@CGO_ENABLED=0 $(GO) -C bench build -o ../$(BIN)/bench .
	@$(BIN)/devstack exec -- $(BIN)/bench -binary $(BIN)/ordersaga $(if $(filter 1,$(QUICK)),--quick) $(ARGS)

bench-growth: devstack ## what operations cost at 10 thousand, 100 thousand and 1 million events; name a server with DEVSTACK_EXTERNAL=mongodb MONGODB_URI=…
	@CGO_ENABLED=0 $(GO) -C bench build -o ../$(BIN)/growth ./growth
	@$(BIN)/devstack exec --only mongodb -- $(BIN)/growth $(ARGS)

chaos: service devstack bin/chaos ## orders under load while processes, servers and connections fail, then the check; DURATION=5m SEED=1 ORDERS=…
	@$(BIN)/devstack exec --only mongodb,rabbitmq,temporal -- $(BIN)/chaos -binary $(BIN)/ordersaga -duration $(or $(DURATION),5m) \
	  $(if $(SEED),-seed $(SEED)) $(if $(ORDERS),-orders $(ORDERS)) $(ARGS)

bin/chaos: FORCE
	@CGO_ENABLED=0 $(GO) -C bench build -o ../$(BIN)/chaos ./chaos

FORCE:

build: ## bin/ordersaga, bin/demo and bin/devstack
	@VERSION='$(VERSION)' devstack/build all

service:
	@test -e $(BIN)/ordersaga || echo "ordersaga: building the service; the first build takes a minute or two" >&2
	@$(COMPILER) CGO_ENABLED=0 $(GO) build -ldflags '-X main.version=$(VERSION)' -o $(BIN)/ordersaga ./cmd/ordersaga
	@$(COMPILER) CGO_ENABLED=0 $(GO) build -o $(BIN)/demo ./test/demo

devstack:
	@devstack/build

test: service devstack ## every test, on the real stack, several parts at once; with -race where a C compiler is
	@$(if $(RACE),:,echo "make test: no C compiler, so the tests run without -race")
	@MAKE="$(MAKE)" test/run

matrix: devstack ## the whole crash matrix, some random sagas, and the mutants that must turn it red
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_WHOLE_MATRIX=1 \
	  $(MAKE) --no-print-directory test-matrix VERBOSE=-v MATRIX_TIMEOUT=60m
	@ORDERSAGA_WHOLE_MATRIX=1 $(GO) test -timeout 60m -count=1 -run TestMatrix ./workflows/order ./workflows/refund ./workflows/returns ./workflows/saga/sagatest

mutants: devstack ## every mutant of the lists in test/matrix, compiled into the service: a test must fail for each
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_WHOLE_MATRIX=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 60m -count=1 -v -run 'TestMutants|TestComplaintsNeedTheirGuards' ./test/matrix

long: devstack ## 10,000 random sagas, 10,000 waiting ones, and thousands of cancellations, late events and signals
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 90m -count=1 -v -run TestRandomSagas ./test/matrix
	@$(BIN)/devstack exec -- env ORDERSAGA_OWN_BROKER=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 20m -count=1 -v -run 'TestNothingPrivateIsLeft' ./test/e2e
	@$(BIN)/devstack exec -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 60m -count=1 -v -run 'TestParkedSagas|TestACrowd|TestCancellationsAtOnce|TestSignalsOutliveTheirRun' ./test/e2e

fuzz: ## every fuzz test, one after the other: TIME=5m each
	@grep -rln --include=*_test.go '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r package; do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$package/*_test.go); do \
	    echo "$$package $$name"; $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(or $(TIME),1m) $$package || exit 1; done; done

hostile: devstack ## thousands of generated requests, valid and invalid, to every operation: REQUESTS=100000
	@$(BIN)/devstack exec --only mongodb,rabbitmq,temporal -- env ORDERSAGA_HOSTILE_REQUESTS=$(or $(REQUESTS),100000) ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 60m -count=1 -v -run 'TestHostileRequests$$' ./test/e2e

upgrade: devstack ## sagas that an older version has begun are finished by this one: from their histories, and with an empty Temporal
	@$(BIN)/devstack exec -- env ORDERSAGA_LONG=1 ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -timeout 20m -count=1 -v -run 'TestUpgrade' ./test/e2e

test-unit: ## tests without servers
	$(COMPILER) $(GOTEST) $(RACE) -timeout 30m $(UNIT)

# The following targets run under devstack, which sets the environment: bin/devstack exec -- make test-…
integration-packages:
	@echo $(INTEGRATION)

test-integration:
	ORDERSAGA_REQUIRE_STACK=1 $(GOTEST) $(RACE) -timeout 30m -count=1 $(INTEGRATION)

# RabbitMQ 3.10 may lose the supervisor of its dead-letter workers permanently when queues are deleted right after a start. After that, no queue
# with at-least-once dead-lettering starts. Therefore these tests have a broker of their own.
test-restart:
	ORDERSAGA_REQUIRE_STACK=1 ORDERSAGA_OWN_BROKER=1 $(GOTEST) $(RACE) -timeout 60m -count=1 -run '^TestRestarts$$' ./internal/rabbitmq

test-matrix:
	@echo "the sample of the matrix: ORDERSAGA_SAMPLE=$(ORDERSAGA_SAMPLE)"
	ORDERSAGA_SAMPLE=$(ORDERSAGA_SAMPLE) ORDERSAGA_REQUIRE_STACK=1 $(GOTEST) $(RACE) $(VERBOSE) -timeout $(or $(MATRIX_TIMEOUT),60m) -count=1 ./test/matrix

# With E2E, the folder of the binaries of e2e-binaries: processes that share the tests do not build them again.
test-e2e:
ifdef E2E
	cd test/e2e && ORDERSAGA_REQUIRE_STACK=1 ORDERSAGA_E2E_BINARY=$(E2E)/ordersaga $(E2E)/e2e.test -test.timeout 60m
else
	ORDERSAGA_REQUIRE_STACK=1 $(GOTEST) $(RACE) -timeout 60m -count=1 ./test/e2e
endif

e2e-binaries:
	$(COMPILER) $(GOTEST) $(RACE) -c -o $(E2E)/e2e.test ./test/e2e
	$(COMPILER) $(GO) build $(RACE) -o $(E2E)/ordersaga ./cmd/ordersaga

test-bench:
	ORDERSAGA_REQUIRE_STACK=1 $(GO) -C bench test $(RACE) -timeout 30m ./...

# A short run of make chaos with a fixed plan.
test-chaos: bin/chaos
	$(BIN)/chaos -binary $(BIN)/ordersaga -seed 1 -duration 40s -orders 150 -faults 8

# A flow in a module of its own, as other teams write it: in virtual time, and as a binary on the stack. This target and the next one use the
# packages that the binaries have: with cgo and without -race, all of them would be compiled once more.
test-examples:
	CGO_ENABLED=0 ORDERSAGA_REQUIRE_STACK=1 $(GO) -C examples/giftcard test -timeout 30m -count=1 ./...

# The tutorial that describes this flow. Its reconcile looks at all workflows of the namespace: it needs servers of its own.
test-tutorial:
	CGO_ENABLED=0 ORDERSAGA_REQUIRE_STACK=1 $(GO) test -timeout 30m -count=1 ./test/tutorial

# Helm's library renders the chart; the first build takes about a minute.
test-chart:
	$(COMPILER) CGO_ENABLED=0 $(GO) -C deploy/helm/charttest test -count=1 ./...

# docker-compose.yml and the Grafana dashboards, against the schemas of Compose and Grafana.
test-schemas:
	$(COMPILER) CGO_ENABLED=0 $(GO) -C deploy/schematest test -count=1 ./...

# Other settings of cgo and -race would compile the servers again.
test-devstack:
	cd devstack && CGO_ENABLED=0 $(GO) test -timeout 40m ./...

# Without cgo, as the binaries are built: no package is compiled twice.
check tools: export CGO_ENABLED := 0
check: tools ## format, vet, lint, determinism of workflows and flows, import rules, tidy modules, generated files
	$(BIN)/golangci-lint fmt --diff ./...
	$(COMPILER) $(GO) vet ./...
	$(BIN)/golangci-lint run ./...
	$(BIN)/workflowcheck -config tools/workflowcheck.yaml ./workflows/...
	$(BIN)/flowcheck -config tools/workflowcheck.yaml ./workflows/... ./internal/...
	$(GO) test ./internal/archtest
	cd devstack && test -z "$$(gofmt -l .)" && $(GO) vet ./...
	cd tools && test -z "$$(gofmt -l flowcheck)" && $(GO) vet ./flowcheck && $(GO) test ./flowcheck
	cd bench && ../$(BIN)/golangci-lint fmt --diff ./... && $(GO) vet ./... && ../$(BIN)/golangci-lint run ./...
	$(GO) mod tidy -diff
	$(GO) -C bench mod tidy -diff
	$(GO) -C examples/giftcard mod tidy -diff
	cd examples/giftcard && test -z "$$(gofmt -l .)" && $(GO) vet ./...
	$(GO) -C deploy/helm/charttest mod tidy -diff
	cd deploy/helm/charttest && test -z "$$(gofmt -l .)" && $(GO) vet ./...
	$(GO) -C deploy/schematest mod tidy -diff
	cd deploy/schematest && test -z "$$(gofmt -l .)" && $(GO) vet ./...
	@$(MAKE) --no-print-directory test-chart test-schemas
	$(GO) run ./cmd/ordersaga config --markdown | diff -u docs/reference/configuration.md -
	$(GO) run ./cmd/ordersaga flows --markdown | diff -u docs/reference/flows.md -
	$(GO) run ./internal/catalogdoc/print markdown | diff -u docs/reference/events.md -
	$(GO) run ./internal/catalogdoc/print asyncapi | diff -u api/asyncapi.yaml -
	$(GO) run ./internal/metricsdoc/print | diff -u docs/reference/metrics.md -
	$(GO) run ./internal/reconcile/print | diff -u docs/reference/findings.md -

fix: tools ## format, and write generated files
	$(BIN)/golangci-lint fmt ./...
	cd bench && ../$(BIN)/golangci-lint fmt ./...
	$(MAKE) --no-print-directory docs

golden: build ## record the golden histories again, after a change that running workflows may see
	@$(BIN)/devstack exec -- $(BIN)/demo -binary $(BIN)/ordersaga record
	@$(BIN)/devstack exec --only temporal -- env ORDERSAGA_REQUIRE_STACK=1 \
	  $(GO) test -count=1 -run TestRegularActivityTakesOver ./test/matrix -golden $(CURDIR)/workflows/testdata/histories

# Tools that are not needed to build or check: go run downloads them in these versions when a target is called. govulncheck needs the network in
# any case, for its database. The licences of all modules in the binary are checked by TestLicences, without the network.
VULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
SBOM      := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

vulncheck: ## known vulnerabilities in the functions that the service calls; needs the network
	$(GO) run $(VULNCHECK) ./cmd/ordersaga

sbom: ## bin/ordersaga.cdx.json: the modules in the service, with their licences, in CycloneDX
	@mkdir -p $(BIN)
	$(GO) run $(SBOM) app -json -licenses -main cmd/ordersaga -output $(BIN)/ordersaga.cdx.json .

docs: ## write the generated files: settings, flows, events, metrics, findings, asyncapi.yaml
	$(GO) run ./internal/metricsdoc/print > docs/reference/metrics.md
	$(GO) run ./internal/reconcile/print > docs/reference/findings.md
	$(GO) run ./internal/catalogdoc/print markdown > docs/reference/events.md
	$(GO) run ./internal/catalogdoc/print asyncapi > api/asyncapi.yaml
	$(GO) run ./cmd/ordersaga config --markdown > docs/reference/configuration.md
	$(GO) run ./cmd/ordersaga flows --markdown > docs/reference/flows.md

tools:
	@test -e $(BIN)/golangci-lint || echo "ordersaga: building the linters; the first build takes a few minutes" >&2
	@$(COMPILER) $(GO) -C tools build -o ../$(BIN)/ tool ./flowcheck

clean: ## remove the binaries and the state of make run
	rm -rf $(BIN) .devstack
