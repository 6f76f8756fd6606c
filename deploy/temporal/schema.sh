#!/bin/sh
# Creates Temporal's two databases and brings their schemas to the version of this image. Safe to run again: what is
# there stays, and only newer versions are applied. The connection stands in SQL_*, which the tool reads itself.
set -eu

setup() {
  database=$1
  schema=$2
  temporal-sql-tool --db "$database" create-database
  temporal-sql-tool --db "$database" setup-schema --version 0.0
  temporal-sql-tool --db "$database" update-schema --schema-name "$schema"
}

setup temporal postgresql/v12/temporal
setup temporal_visibility postgresql/v12/visibility
