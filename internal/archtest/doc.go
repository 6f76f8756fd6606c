// Package archtest keeps the import rules of the repository. It holds tests only: the checker (graph_test.go), the
// rules (rules_test.go), and a test of the checker on a graph that breaks each rule.
//
// The rules say which package may import which; docs and package comments say why. A new package that fits no rule is free; a
// rule that no longer fits is changed there, and nowhere else.
package archtest
