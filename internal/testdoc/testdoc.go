// Package testdoc reads the pages of the documentation for the tests that check and execute what they say.
//
// A page is Markdown. A fenced block has an info string, the text after its opening fence: `sh` blocks hold commands, `sh run` blocks
// are also executed by the end-to-end tests.
//
// Only tests import it.
package testdoc

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Page is a Markdown page.
type Page struct {
	// Path is relative to the repository's root, with slashes.
	Path string
	Text string
}

// Block is a fenced block of a page.
type Block struct {
	// Line is the line of the opening fence, from 1.
	Line int
	// Info is the info string.
	Info string
	Text string
}

// Commands reports whether the block holds commands of a shell.
func (b Block) Commands() bool { return b.Info == "sh" || b.Info == "sh run" }

// Pages returns the hand-written and generated pages of the repository in root: README, CONTRIBUTING, CHANGELOG, and what is in docs and
// examples.
func Pages(t testing.TB, root string) []Page {
	t.Helper()
	var pages []Page
	add := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		local, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, Page{Path: filepath.ToSlash(local), Text: string(text)})
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		add(filepath.Join(root, name))
	}
	for _, folder := range []string{"docs", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "node_modules":
				return filepath.SkipDir
			case strings.HasSuffix(path, ".md"):
				add(path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// Split returns the page's fenced blocks, and its text with empty lines in their place.
func (p Page) Split() (blocks []Block, prose string) {
	var out, inside strings.Builder
	var open *Block
	line := 0
	for text := range strings.Lines(p.Text) {
		line++
		info, fence := strings.CutPrefix(strings.TrimSpace(text), "```")
		switch {
		case fence && open == nil:
			open = &Block{Line: line, Info: info}
			inside.Reset()
		case fence:
			open.Text = inside.String()
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			inside.WriteString(text)
		default:
			out.WriteString(text)
			continue
		}
		out.WriteString("\n")
	}
	return blocks, out.String()
}

var inlineCode = regexp.MustCompile("`([^`\n]+)`")

// Inline returns what prose has between single back quotes.
func Inline(prose string) []string {
	var found []string
	for _, match := range inlineCode.FindAllStringSubmatch(prose, -1) {
		found = append(found, match[1])
	}
	return found
}

// Code returns the code of a page that a reader may type: inline code, the lines of sh blocks, and in other blocks the lines after a
// prompt.
func (p Page) Code() []string {
	blocks, prose := p.Split()
	found := Inline(prose)
	for _, b := range blocks {
		if b.Commands() {
			found = append(found, b.Text)
			continue
		}
		for line := range strings.Lines(b.Text) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				found = append(found, command)
			}
		}
	}
	return found
}

var heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)

// Anchors returns the fragments that a Markdown renderer makes of the page's headings.
func (p Page) Anchors() map[string]bool {
	_, prose := p.Split()
	anchors := make(map[string]bool)
	for _, match := range heading.FindAllStringSubmatch(prose, -1) {
		anchors[anchor(match[1])] = true
	}
	return anchors
}

// anchor keeps letters, digits, hyphens and underscores, in lower case, and makes hyphens of spaces.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r > 127:
			return r
		}
		return -1
	}, strings.ToLower(title))
}
