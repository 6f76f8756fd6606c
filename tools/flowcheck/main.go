// Command flowcheck checks that the hooks of saga flows are deterministic. workflowcheck checks declared functions that take a
// workflow.Context and what they call, but does not follow function values, and a flow is a table of them: the fold, the conditions of
// its rows, the data of its events.
//
// In a package with a value of the type saga.Flow, every function without a context must be deterministic, whether or not the table names it:
// it may not read clocks or random numbers, range over maps, start goroutines, use channels, or call what does. Functions with a
// context are activities. The determinism of called functions is workflowcheck's; so are the exceptions, -config.
package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"strings"

	"go.temporal.io/sdk/contrib/tools/workflowcheck/determinism"
	"go.temporal.io/sdk/contrib/tools/workflowcheck/workflow"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/singlechecker"
	"gopkg.in/yaml.v2"
)

func main() { singlechecker.Main(newAnalyzer()) }

func newAnalyzer() *analysis.Analyzer {
	checker := determinism.NewChecker(determinism.Config{IdentRefs: workflow.DefaultIdentRefs.Clone()})
	a := &analysis.Analyzer{
		Name: "flowcheck", Doc: "checks that the hooks of saga flows are deterministic",
		FactTypes: []analysis.Fact{&determinism.PackageNonDeterminisms{}, &determinism.NonDeterminisms{}},
	}
	a.Flags.Func("config", "file with exceptions, as workflowcheck has them", func(name string) error {
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var exceptions struct{ Decls determinism.IdentRefs }
		if err := yaml.Unmarshal(raw, &exceptions); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		checker.IdentRefs.SetAll(exceptions.Decls)
		return nil
	})
	a.Run = func(pass *analysis.Pass) (any, error) {
		if _, err := checker.Run(pass); err != nil {
			return nil, err
		}
		if declaresFlow(pass) {
			c := check{Pass: pass, cache: determinism.NewPackageLookupCache(pass)}
			for _, file := range pass.Files {
				if !isTest(pass, file) {
					c.file(file)
				}
			}
		}
		return nil, nil
	}
	return a
}

// declaresFlow reports whether a package has a value of the type saga.Flow in it, tests aside.
func declaresFlow(pass *analysis.Pass) bool {
	for expr, value := range pass.TypesInfo.Types {
		if _, literal := expr.(*ast.CompositeLit); !literal || isTest(pass, expr) {
			continue
		}
		if named, ok := types.Unalias(value.Type).(*types.Named); ok && named.Obj().Name() == "Flow" && named.Obj().Pkg() != nil &&
			strings.HasSuffix(named.Obj().Pkg().Path(), "/workflows/saga") {
			return true
		}
	}
	return false
}

func isTest(pass *analysis.Pass, n ast.Node) bool {
	return strings.HasSuffix(pass.Fset.Position(n.Pos()).Filename, "_test.go")
}

type check struct {
	*analysis.Pass
	cache *determinism.PackageLookupCache
}

// file checks the declared functions of a file, and the function values of its package variables, which belong to no function.
func (c check) file(file *ast.File) {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			if !c.takesContext(f.Type) {
				c.function(f)
			}
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncLit); ok {
				if !c.takesContext(f.Type) {
					c.value(f)
				}
				return false
			}
			return true
		})
	}
}

// takesContext reports whether a function takes a context.Context or a workflow.Context.
func (c check) takesContext(f *ast.FuncType) bool {
	for _, param := range f.Params.List {
		if named, ok := types.Unalias(c.TypesInfo.TypeOf(param.Type)).(*types.Named); ok && named.Obj().Name() == "Context" {
			return true
		}
	}
	return false
}

// function reports what makes a declared function nondeterministic.
func (c check) function(decl *ast.FuncDecl) {
	fn, ok := c.TypesInfo.ObjectOf(decl.Name).(*types.Func)
	if !ok {
		return
	}
	for _, reason := range c.cache.PackageNonDeterminisms(fn.Pkg())[fn.FullName()] {
		c.Reportf(decl.Pos(), "%s is not deterministic: %s", decl.Name.Name, reason)
	}
}

// value reports what makes a function value nondeterministic.
func (c check) value(f *ast.FuncLit) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt:
			c.Reportf(n.Pos(), "a hook is not deterministic: it uses concurrency")
		case *ast.RangeStmt:
			switch c.TypesInfo.TypeOf(n.X).Underlying().(type) {
			case *types.Map:
				c.Reportf(n.Pos(), "a hook is not deterministic: it ranges over a map")
			case *types.Chan:
				c.Reportf(n.Pos(), "a hook is not deterministic: it uses concurrency")
			}
		case *ast.CallExpr:
			c.call(n)
		}
		return true
	})
}

// call reports a call of a function that is not deterministic.
func (c check) call(n *ast.CallExpr) {
	var name *ast.Ident
	switch fun := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		name = fun
	case *ast.SelectorExpr:
		name = fun.Sel
	default:
		return
	}
	fn, ok := c.TypesInfo.ObjectOf(name).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return
	}
	fn = fn.Origin()
	for _, reason := range c.cache.PackageNonDeterminisms(fn.Pkg())[fn.FullName()] {
		c.Reportf(n.Pos(), "a hook is not deterministic: it calls %s: %s", fn.FullName(), reason)
	}
}
