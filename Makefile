# meter: rating of usage inside PostgreSQL. `make help` lists the targets.

EXTENSION = meter
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" meter.control)
MODULE_big = meter
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built = sql/meter--$(EXTVERSION).sql
PARTS = $(sort $(filter-out sql/meter--%,$(wildcard sql/*.sql)))
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers $(METER_CFLAGS)
EXTRA_CLEAN = sql/meter--*.sql

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
include $(PGXS)

all: $(DATA_built)

sql/meter--$(EXTVERSION).sql: $(PARTS) meter.control
	cat $(PARTS) > $@.tmp && mv $@.tmp $@

$(OBJS): $(wildcard src/*.h)
