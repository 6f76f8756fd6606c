package archtest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testdoc"
)

// root is the repository's.
var root = filepath.Join("..", "..")

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestDocumentationLinks follows every relative link of every page, to the heading.
func TestDocumentationLinks(t *testing.T) {
	pages := testdoc.Pages(t, root)
	anchors := make(map[string]map[string]bool)
	for _, p := range pages {
		anchors[p.Path] = p.Anchors()
	}
	for _, p := range pages {
		_, prose := p.Split()
		for _, match := range link.FindAllStringSubmatch(prose, -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			local := p.Path
			if target != "" {
				local = path.Join(path.Dir(p.Path), target)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(local))); !assert.NoError(t, err, "%s links to %s", p.Path, match[1]) {
				continue
			}
			if fragment != "" && strings.HasSuffix(local, ".md") {
				assert.True(t, anchors[local][fragment], "%s links to %s, which has no such heading", p.Path, match[1])
			}
		}
	}
}

// TestDocumentationIndex: the index lists every page that is not a decision record or a result.
func TestDocumentationIndex(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(root, "docs", "README.md"))
	require.NoError(t, err)
	for _, p := range testdoc.Pages(t, root) {
		local, ok := strings.CutPrefix(p.Path, "docs/")
		if !ok || local == "README.md" || strings.HasPrefix(local, "adr/") || strings.HasPrefix(local, "results/") {
			continue
		}
		assert.Contains(t, string(index), "]("+local, "docs/README.md does not list %s", local)
	}
}

const (
	// maxWords bounds the hand-written pages that users read: each fact has one place, and other pages link to it.
	maxWords = 25_000
	// handWritten are these pages. The other pages are generated, or are decision records and results.
	handWritten = "README.md docs/{README,glossary,guarantees,security,reliability,why}.md docs/tutorials/*.md docs/how-to/*.md " +
		"docs/explanation/*.md docs/reference/{messaging,event-log,rest,commands,order-saga}.md"
)

// TestDocumentationIsShort counts words as wc does.
func TestDocumentationIsShort(t *testing.T) {
	words := 0
	for pattern := range strings.FieldsSeq(handWritten) {
		prefix, names, found := strings.Cut(pattern, "{")
		names, suffix, _ := strings.Cut(names, "}")
		if !found {
			prefix, names = pattern, ""
		}
		for name := range strings.SplitSeq(names, ",") {
			files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(prefix+name+suffix)))
			require.NoError(t, err)
			require.NotEmpty(t, files, pattern)
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				words += len(strings.Fields(string(text)))
			}
		}
	}
	assert.LessOrEqual(t, words, maxWords, "the documentation has too many words: wc -w %s", handWritten)
}

var (
	makeCommand = regexp.MustCompile(`\bmake((?: +[a-z][a-z-]*)+)`)
	makeRule    = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

func TestDocumentedMakeTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := make(map[string]bool)
	for _, match := range makeRule.FindAllStringSubmatch(string(makefile), -1) {
		targets[match[1]] = true
	}
	require.True(t, targets["run"])
	for _, p := range testdoc.Pages(t, root) {
		for _, code := range p.Code() {
			for _, match := range makeCommand.FindAllStringSubmatch(code, -1) {
				for _, target := range strings.Fields(match[1]) {
					assert.True(t, targets[target], "%s: make %s", p.Path, target)
				}
			}
		}
	}
}

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
)

// TestDocumentedTestsExist: every test that a page names, such as those of docs/guarantees.md.
func TestDocumentedTestsExist(t *testing.T) {
	tests := make(map[string]bool)
	sources(t, func(_, text string) {
		for _, match := range testFunc.FindAllStringSubmatch(text, -1) {
			tests[match[1]] = true
		}
	})
	guarantees := 0
	for _, p := range testdoc.Pages(t, root) {
		for _, name := range testName.FindAllString(p.Text, -1) {
			assert.True(t, tests[name], "%s names %s", p.Path, name)
			if p.Path == "docs/guarantees.md" {
				guarantees++
			}
		}
	}
	require.Greater(t, guarantees, 30)
}

var repositoryPath = regexp.MustCompile(`^[a-z]+(/[\w.-]+)+/?$`)

// TestDocumentedPathsExist: every file and folder of the repository that a page names as code.
func TestDocumentedPathsExist(t *testing.T) {
	generated := map[string]bool{"bench/results": true}
	for _, p := range testdoc.Pages(t, root) {
		_, prose := p.Split()
		for _, code := range testdoc.Inline(prose) {
			first, _, _ := strings.Cut(code, "/")
			if !repositoryPath.MatchString(code) || generated[code] || first == "bin" {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, first)); err != nil {
				continue // a slot, a stream, a content type
			}
			assert.FileExists(t, existing(code), "%s names %s", p.Path, code)
		}
	}
}

// existing returns a file that is there if path is, be it a folder.
func existing(path string) string {
	local := filepath.Join(root, filepath.FromSlash(path))
	if info, err := os.Stat(local); err == nil && info.IsDir() {
		return filepath.Join(root, "go.mod")
	}
	return local
}

var (
	variable = regexp.MustCompile(`\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b`)
	// foreign are what others define: Go, RabbitMQ.
	foreign = map[string]bool{
		"SSL_CERT_FILE": true, "INTERNAL_ERROR": true, "PRECONDITION_FAILED": true, "ACCESS_REFUSED": true, "NAME_FILE": true,
	}
)

// TestDocumentedVariablesExist: every environment variable that a page names is read somewhere. internal/cli checks that settings of the
// service are settings.
func TestDocumentedVariablesExist(t *testing.T) {
	known := make(map[string]bool)
	sources(t, func(_, text string) {
		for _, name := range variable.FindAllString(text, -1) {
			known[name] = true
		}
	})
	require.True(t, known["WORKER_CONCURRENCY"])
	for _, p := range testdoc.Pages(t, root) {
		for _, code := range p.Code() {
			for _, name := range variable.FindAllString(code, -1) {
				assert.True(t, known[name] || known[strings.TrimSuffix(name, "_FILE")] || foreign[name], "%s names %s", p.Path, name)
			}
		}
	}
}

// sources visits the files that are not documentation and were not built.
func sources(t *testing.T, visit func(path, text string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch entry.Name() {
			case ".git", ".devstack", "bin", "docs", "node_modules", "testdata", "results":
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".sh", ".yml", ".yaml", "":
		default:
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(path, string(text))
		return nil
	}))
}
