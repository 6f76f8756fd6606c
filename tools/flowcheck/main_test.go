package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// Each line of the flow with a comment after its code is reported, with the words of the comment, and no other line is. (analysistest
// checks besides that facts are encoded in one order, which those of workflowcheck are not.)
func TestHooksMustBeDeterministic(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.LoadAllSyntax, Dir: "testdata"}, "./flows")
	if err != nil || packages.PrintErrors(pkgs) > 0 {
		t.Fatal("the flow cannot be loaded: ", err)
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{newAnalyzer()}, pkgs, nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("testdata/flows/flows.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{}
	for n, line := range strings.Split(string(source), "\n") {
		if code, comment, found := strings.Cut(line, "// "); found && strings.TrimSpace(code) != "" {
			want[n+1] = comment
		}
	}
	if len(want) != 5 {
		t.Fatalf("%d lines are marked", len(want))
	}
	for action := range graph.All() {
		if action.Err != nil {
			t.Fatal(action.Err)
		}
		for _, d := range action.Diagnostics {
			line := action.Package.Fset.Position(d.Pos).Line
			if words, marked := want[line]; !marked || !strings.Contains(d.Message, words) {
				t.Errorf("line %d: unexpected: %s", line, d.Message)
				continue
			}
			delete(want, line)
		}
	}
	for line, words := range want {
		t.Errorf("line %d is not reported: %s", line, words)
	}
}
