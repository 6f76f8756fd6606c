// Package config reads the settings of ordersaga from the environment, once.
//
// # Contract
//
//   - Load reads and checks all variables of the table in settings.go, and reports all problems in one Error: the variable, its value
//     (masked if it is a secret) and what is expected instead.
//   - An empty variable counts as not set.
//   - A secret NAME may be read from the file that NAME_FILE names; setting both is a problem.
//   - Secrets are masked wherever a Secret or a Config is printed.
//   - After Load only the certificate files of TEMPORAL_TLS_* are read. A Config is a value; the package does not change it after Load.
//
// The package may import workflows/order, payment and the Temporal SDK, but no driver: it does not check whether a database can be
// reached.
//
// The table is code and not struct tags: each row has its own rule, description and masking, and a problem must name the variable and its
// value, which libraries for struct tags do not report.
// and a problem must name the variable and its value, which tag readers do not report.
package config
