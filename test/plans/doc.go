// Package plans checks that the server answers what the hot path and the lists ask by an index. A monitor records the
// queries that the stores really send, so that a query of another shape cannot be forgotten here; then the server explains
// each of them.
//
// It needs a server that can explain: MongoDB or FerretDB 2. Against one of yours:
//
//	MONGODB_URI=mongodb://… go test -v ./test/plans
package plans
