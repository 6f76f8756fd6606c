// Package plans checks that the server answers what the hot path and the lists ask by an index. A monitor records the
// queries that the stores really send, so that a query of another shape cannot be forgotten here; then the server explains
// each of them.
//
// MongoDB and FerretDB 2 explain. FerretDB 1, which devstack starts, does not: there the queries must have the one form for
// which it uses an index. Against a server of yours:
//
//	MONGODB_URI=mongodb://… go test -v ./test/plans
package plans
