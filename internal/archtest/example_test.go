package archtest

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exampleFlow is the flow that shows what a team's own flow costs: a module of its own.
const exampleFlow = "examples/giftcard"

// maxExampleFlow bounds the lines of its table and step functions.
const maxExampleFlow = 250

// TestWhatTheExampleFlowCosts prints how large the example is. Its flow.go, which has the table and the step functions, is held to a size,
// and no code outside its folder names it: to add a flow, nothing of the service is changed.
func TestWhatTheExampleFlowCosts(t *testing.T) {
	const root = "../.."
	files, lines, schemas, flow := 0, 0, 0, 0
	var naming []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		local, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		local = filepath.ToSlash(local)
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".ci", ".devstack", "bin", "node_modules", "docs", "results":
				return filepath.SkipDir
			}
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := bytes.Count(source, []byte("\n"))
		_, inside := strings.CutPrefix(local, exampleFlow+"/")
		switch {
		case inside && strings.HasSuffix(local, ".json") && strings.Contains(local, "/schemas/"):
			schemas++
		case inside && strings.HasSuffix(local, ".go") && !strings.HasSuffix(local, "_test.go"):
			files++
			lines += n
			if local == exampleFlow+"/flow.go" {
				flow = n
			}
		case !inside && names(local, source):
			naming = append(naming, local)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%s: %d files, %d lines of Go, %d of them in flow.go; %d schemas", exampleFlow, files, lines, flow, schemas)
	require.NotZero(t, flow)
	require.LessOrEqual(t, flow, maxExampleFlow, "lines of flow.go")
	require.NotZero(t, schemas)
	require.Empty(t, naming, "files that name the example")
}

// names reports whether a file names the example. Documentation may, comments of code, the API reference and the types that are generated from it
// included, and so may the Makefile, which tests it. This package does.
func names(path string, source []byte) bool {
	switch name := []byte(filepath.Base(exampleFlow)); {
	case path == "Makefile", path == "api/openapi.yaml", strings.HasPrefix(path, "clients/typescript/"), strings.HasSuffix(path, ".md"), strings.HasPrefix(path, "internal/archtest/"):
		return false
	case strings.HasSuffix(path, ".go"):
		return bytes.Contains(withoutComments(source), name)
	default:
		return bytes.Contains(source, name)
	}
}

// withoutComments are the tokens of a Go file, but for its comments.
func withoutComments(source []byte) []byte {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, 0)
	var code []byte
	for {
		_, kind, literal := s.Scan()
		if kind == token.EOF {
			return code
		}
		code = append(append(code, literal...), '\n')
	}
}

func TestCommentsNameNothing(t *testing.T) {
	for source, want := range map[string]bool{
		"package a // giftcard":                      false,
		"package a\n/* giftcard */ import \"b\"":     false,
		"package a\nimport \"example.com/giftcard\"": true,
		"package a\nconst b = `giftcard`":            true,
		"package giftcard":                           true,
	} {
		require.Equal(t, want, names("a.go", []byte(source)), source)
	}
	require.True(t, names("compose.yaml", []byte("image: giftcard")))
	require.False(t, names("README.md", []byte("giftcard")))
}
