# meter: rating of usage inside PostgreSQL. `make help` lists the targets.

EXTENSION = meter
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" meter.control)
PG_CONFIG ?= pg_config
export PG_CONFIG

# The targets of the house work where PGXS is not installed yet: they never read it, and the
# scripts that they run install what is missing. Everything else is PGXS's.
CHECKS = check-regress check-parallel check-isolation check-tap check-conformance check-property check-readme check-stripe
HOUSE = help check $(CHECKS) lint format docs dist demo demo-stop bench
ifneq ($(filter $(HOUSE),$(MAKECMDGOALS)),)

.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS)

PGXS_GOALS = $(filter-out $(HOUSE),$(MAKECMDGOALS))
ifneq ($(PGXS_GOALS),)
$(PGXS_GOALS):
	@$(MAKE) --no-print-directory $@
endif

help:
	@echo 'all          build the extension against the PostgreSQL of PG_CONFIG (default: pg_config)'
	@echo 'install      install it there'
	@echo 'installcheck run the regression and isolation tests against a running server'
	@echo 'check        run everything below on a private cluster: tests and lint'
	@echo 'check-X      one part of it: regress, parallel, isolation, tap, conformance, property, readme, stripe'
	@echo 'lint         warnings as errors, layout, static analysis, catalogue rules, docs current'
	@echo 'format       lay out the C code'
	@echo 'docs         write docs/reference.md from the comments in the catalogue'
	@echo 'demo         start a private cluster in .demo and run the demo on a real trace'
	@echo 'demo-stop    stop that cluster and remove it'
	@echo 'bench        run the benchmark'
	@echo 'dist         make the PGXN archive'
	@echo 'clean        remove what was built'

check:
	@scripts/deps build test lint
	@scripts/check
$(CHECKS):
	@scripts/deps build test
	@scripts/check $(@:check-%=%)
lint:
	@scripts/deps build test lint
	@scripts/check lint
format:
	@scripts/deps lint
	clang-format -i src/*.c src/*.h
docs:
	@scripts/deps build test
	@scripts/docs
demo:
	@scripts/deps build
	@scripts/demo start
demo-stop:
	@scripts/demo stop
bench:
	@scripts/deps build
	@bench/run
dist:
	@scripts/dist

else

MODULE_big = meter
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built = sql/meter--$(EXTVERSION).sql
PARTS = $(sort $(filter-out sql/meter--%,$(wildcard sql/*.sql)))
PG_CPPFLAGS = -I$(srcdir)/src
# calls inside the library go straight to their function
PG_CFLAGS = -O2 -fno-semantic-interposition -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers $(METER_CFLAGS)
SHLIB_LINK = -Wl,-Bsymbolic-functions
EXTRA_CLEAN = sql/meter--*.sql .build

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=.build --encoding=UTF8 --no-locale --load-extension=btree_gist --load-extension=meter
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.build --encoding=UTF8 --no-locale --load-extension=btree_gist --load-extension=meter

NO_INSTALLCHECK = 1

PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifeq ($(PGXS),)
$(error PostgreSQL's server headers are not here ($(PG_CONFIG) --pgxs names nothing): run scripts/deps, or set PG_CONFIG)
endif
include $(PGXS)

all: $(DATA_built)

sql/meter--$(EXTVERSION).sql: $(PARTS) meter.control
	cat $(PARTS) > $@.tmp && mv $@.tmp $@

# As PGXS has it, but each test has a database of its own, with nothing in it but the extension, in
# UTF-8 and sorted by bytes, whatever the server's are.
installcheck:
	@status=0; \
	for test in $(REGRESS); do $(pg_regress_installcheck) $(REGRESS_OPTS) $$test || status=1; done; \
	for test in $(ISOLATION); do $(pg_isolation_regress_installcheck) $(ISOLATION_OPTS) $$test || status=1; done; \
	exit $$status
.PHONY: installcheck

# Objects are made anew for another server or other flags, not only for another source.
BUILT_FOR = .build/built-for
$(BUILT_FOR): FORCE
	@mkdir -p .build
	@echo '$(VERSION) $(includedir_server) $(METER_CFLAGS)' | cmp -s - $@ || echo '$(VERSION) $(includedir_server) $(METER_CFLAGS)' > $@
FORCE:
.PHONY: FORCE
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h) $(BUILT_FOR)

endif
