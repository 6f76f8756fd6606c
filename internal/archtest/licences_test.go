package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// licences are sentences of the licences that modules in the binary may have: MIT and ISC, BSD, Apache 2.0, and MPL 2.0, which requires the source of
// its own files only.
var licences = []string{
	"Permission is hereby granted, free of charge",
	"Permission to use, copy, modify, and/or distribute this software",
	"Redistribution and use in source and binary forms",
	"Apache License",
	"Mozilla Public License, version 2.0",
}

// withoutLicence are modules without a file with their licence, with the reason why they may be used.
var withoutLicence = map[string]string{
	"github.com/nexus-rpc/nexus-proto-annotations": "options of protobuf, a dependency of Temporal's API; it has no file with a licence",
}

// TestLicences: every module in the binary has a licence that permits it. It reads the module cache: no network.
func TestLicences(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Dir}}{{end}}", "./cmd/ordersaga")
	list.Dir = root
	output, err := list.Output()
	require.NoError(t, err)
	modules := strings.Split(strings.TrimSpace(string(output)), "\n")
	slices.Sort(modules)
	for _, line := range slices.Compact(modules) {
		path, folder, found := strings.Cut(line, "\t")
		if !found {
			continue // the standard library
		}
		text := licenceOf(t, folder)
		if _, declared := withoutLicence[path]; declared {
			require.Empty(t, text, "%s has a licence now", path)
			continue
		}
		allowed := slices.ContainsFunc(licences, func(sentence string) bool { return strings.Contains(text, sentence) })
		require.True(t, allowed, "%s: licence is unknown or not allowed: %.200s", path, text)
		require.NotContains(t, text, "GNU GENERAL PUBLIC LICENSE", path)
	}
}

// licenceOf returns the licence in a module's folder, on one line; empty if there is none.
func licenceOf(t *testing.T, folder string) string {
	t.Helper()
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		require.NoError(t, err)
		if len(files) > 0 {
			text, err := os.ReadFile(files[0])
			require.NoError(t, err)
			return strings.Join(strings.Fields(string(text)), " ")
		}
	}
	return ""
}
