package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// pkg is what the rules know of a package.
type pkg struct {
	// imports are those of the package itself, testImports those of its tests, of both kinds.
	imports, testImports []string
}

// graph is the packages of a module and everything that they import, by import path.
type graph struct {
	module   string
	packages map[string]pkg
}

// local returns the path of a package inside the module, "." for its root, and whether it is of the module.
func (g graph) local(importPath string) (string, bool) {
	if importPath == g.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, g.module+"/")
}

// locals returns the import paths of the module's own packages, sorted.
func (g graph) locals() []string {
	var paths []string
	for p := range g.packages {
		if _, ok := g.local(p); ok {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// way returns the shortest chain of imports from a package to one that is below prefix, or nil.
func (g graph) way(from, prefix string, but ...string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && below(at, prefix) && !belowAny(at, but) {
			var chain []string
			for p := at; p != ""; p = cameFrom[p] {
				chain = append(chain, p)
			}
			slices.Reverse(chain)
			return chain
		}
		for _, next := range g.packages[at].imports {
			if _, seen := cameFrom[next]; !seen {
				cameFrom[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// below reports whether an import path is prefix or inside it.
func below(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}

// belowAny reports whether an import path is one of the prefixes or inside one.
func belowAny(importPath string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return below(importPath, p) })
}

// rule finds what breaks it, one sentence each.
type rule interface {
	check(g graph) []string
}

// unreachable keeps packages from reaching others, however long the way.
type unreachable struct {
	// from are local paths; the packages inside them are meant too.
	from []string
	// forbidden are import paths, likewise; but are those inside them that may be reached.
	forbidden, but []string
}

func (r unreachable) check(g graph) (broken []string) {
	for _, p := range g.locals() {
		name, _ := g.local(p)
		if !belowAny(name, r.from) {
			continue
		}
		for _, forbidden := range r.forbidden {
			if chain := g.way(p, forbidden, r.but...); chain != nil {
				broken = append(broken, fmt.Sprintf("%s must not reach %s: %s", name, forbidden, strings.Join(chain, " -> ")))
			}
		}
	}
	return broken
}

// mayImport lists all packages of the module that some may import themselves, besides the ones inside their own.
type mayImport struct {
	// from is a local path. Exactly leaves the packages inside it out.
	from    string
	exactly bool
	// local are local paths, each meaning just that package.
	local []string
	// outside are prefixes of other modules' packages; nil leaves them free. The standard library is always free.
	outside []string
}

func (r mayImport) check(g graph) (broken []string) {
	for _, p := range g.locals() {
		name, _ := g.local(p)
		if name != r.from && (r.exactly || !below(name, r.from)) {
			continue
		}
		for _, imported := range g.packages[p].imports {
			target, isLocal := g.local(imported)
			switch {
			case isLocal && (slices.Contains(r.local, target) || (!r.exactly && below(target, r.from))):
			case isLocal:
				broken = append(broken, fmt.Sprintf("%s must not import %s", name, target))
			case r.outside != nil && !isStandard(imported) && !belowAny(imported, r.outside):
				broken = append(broken, fmt.Sprintf("%s must not import %s", name, imported))
			}
		}
	}
	return broken
}

// isStandard reports whether an import path is of the standard library: its first element has no dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// onlyIn keeps a foreign package in the places that are made for it. Tests are free.
type onlyIn struct {
	// imported is a prefix of import paths.
	imported string
	// places are local paths; the packages inside them are meant too.
	places []string
}

func (r onlyIn) check(g graph) (broken []string) {
	for _, p := range g.locals() {
		name, _ := g.local(p)
		for _, imported := range g.packages[p].imports {
			if below(imported, r.imported) && !belowAny(name, r.places) {
				broken = append(broken, fmt.Sprintf("%s must not import %s: that is for %s", name, imported, strings.Join(r.places, ", ")))
			}
		}
	}
	return broken
}

// notImported keeps a package out of the whole module, its tests and its dependencies.
type notImported struct {
	// imported is a prefix of import paths.
	imported string
	// but is a local path where it may be imported; the packages inside it are meant too.
	but string
}

func (r notImported) check(g graph) (broken []string) {
	for _, p := range slices.Sorted(maps.Keys(g.packages)) {
		if name, isLocal := g.local(p); isLocal && r.but != "" && below(name, r.but) {
			continue
		}
		for _, imported := range slices.Concat(g.packages[p].imports, g.packages[p].testImports) {
			if below(imported, r.imported) {
				broken = append(broken, fmt.Sprintf("%s must not import %s, nor may its tests", p, imported))
			}
		}
	}
	return broken
}

// noName refuses names that say nothing about what is inside.
type noName []string

func (r noName) check(g graph) (broken []string) {
	for _, p := range g.locals() {
		name, _ := g.local(p)
		if slices.Contains(r, path.Base(name)) {
			broken = append(broken, fmt.Sprintf("%s has a name that says nothing", name))
		}
	}
	return broken
}

// check returns everything in the graph that breaks a rule.
func check(g graph, rules []rule) (broken []string) {
	for _, r := range rules {
		broken = append(broken, r.check(g)...)
	}
	return broken
}
