// Package config reads the settings of ordersaga from the environment, once.
//
// # Contract
//
//   - Load reads every variable of the table in settings.go, checks them all, and reports every problem in one
//     Error: the variable, its value (masked when it is a secret) and what is expected instead.
//   - A variable that is set to nothing counts as not set.
//   - A secret NAME may be read from the file that NAME_FILE names; both together are a problem.
//   - Secrets never leave the package by accident: Secret and everything that prints a Config masks them.
//   - Nothing is read after Load but the certificate files that TEMPORAL_TLS_* name. A Config is a value:
//     copies are independent but for their slices, and nothing in the package changes one after Load.
//
// The package may import workflows/order, payment and the Temporal SDK, never a driver: whether a
// database can be reached is not a question of configuration.
//
// The table is written out by hand and not with struct tags: each row needs its own rule, meaning and masking,
// and a problem must name the variable and its value, which tag readers do not report.
package config
