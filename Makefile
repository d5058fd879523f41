# The front door. Every verb is one script behind one line.
.PHONY: help setup build demo test test-long lint sim fuzz bench coverage install clean
help: ## show the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14
setup: ## install what is missing (packages, Python environment)
	@scripts/setup.sh
build: ## the release binary build/sortie with all that belongs beside it
	@scripts/setup.sh && scripts/build.sh
demo: ## the whole story on real input; SCENARIO=s3 or sg for the others, AUTO=1 decides by itself
	@scripts/setup.sh && scripts/build.sh && scripts/demo.sh
test: ## set up, build and run every test
	@scripts/setup.sh --browser && scripts/venv.sh && python3 scripts/test.py
test-long: ## the tests with long kill loops, ten-minute fuzzing, the soak and the long simulation
	@scripts/setup.sh --browser && scripts/venv.sh && python3 scripts/test.py --long
lint: ## floors, sizes, banned calls, formatting, clang-tidy on changed files, ruff
	@scripts/setup.sh && scripts/venv.sh && python3 scripts/lint.py
sim: ## the simulation with injected faults: SEEDS=1000 in JOBS=2 processes, or SEED=0x51f2 to replay one; CANARY=1 proves that it finds faults
	@scripts/setup.sh && scripts/sim.sh
fuzz: ## the fuzz targets: SECONDS_EACH=60
	@scripts/setup.sh && python3 scripts/test.py --only fuzz --fuzz-seconds $${SECONDS_EACH:-60}
bench: ## the benchmarks, each beside its limit
	@scripts/setup.sh && scripts/bench.sh
coverage: ## line coverage of the unit tests
	@scripts/setup.sh && scripts/coverage.sh
install: ## the built tree below PREFIX (default /usr/local)
	@scripts/install.sh
clean: ## remove build/
	@rm -rf build
