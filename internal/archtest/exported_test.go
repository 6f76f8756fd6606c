package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// public are the packages that programs of others import.
var public = []string{"event", "payment", "workflows/saga", "workflows/saga/sagatest", "activities", "runtime"}

// TestPublicPackagesExposeNoInternalTypes: a module that imports a public package can name every type of its exported API.
func TestPublicPackagesExposeNoInternalTypes(t *testing.T) {
	imports := exportData(t, public)
	for _, name := range public {
		p, err := imports.Import(module + "/" + name)
		require.NoError(t, err)
		for _, found := range exposed(p) {
			t.Errorf("package %s: %s", name, found)
		}
	}
}

// exportData is an importer of the packages of the module, compiled by the go command.
func exportData(t *testing.T, names []string) types.Importer {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export"}
	for _, name := range names {
		args = append(args, module+"/"+name)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	// As the binaries are built: other settings would compile every package once more.
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err, complaints.String())
	files := make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(files[path])
	})
}

// exposed lists where the exported API of a package has a type of an internal package, sorted.
func exposed(p *types.Package) []string {
	w := &apiWalk{home: p, seen: make(map[types.Type]bool), found: make(map[string]bool)}
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			w.at = name
			w.visit(o.Type())
		}
	}
	var all []string
	for found := range w.found {
		all = append(all, found)
	}
	slices.Sort(all)
	return all
}

// apiWalk walks the types of an exported API.
type apiWalk struct {
	home  *types.Package
	seen  map[types.Type]bool
	found map[string]bool
	// at is where the walk is.
	at string
}

// in visits a part of what is visited.
func (w *apiWalk) in(part string, t types.Type) {
	before := w.at
	w.at += part
	w.visit(t)
	w.at = before
}

func (w *apiWalk) visit(t types.Type) {
	t = types.Unalias(t)
	if w.seen[t] {
		return
	}
	switch t := t.(type) {
	case *types.Named:
		w.named(t)
	case *types.Pointer:
		w.visit(t.Elem())
	case *types.Slice:
		w.visit(t.Elem())
	case *types.Array:
		w.visit(t.Elem())
	case *types.Chan:
		w.visit(t.Elem())
	case *types.Map:
		w.visit(t.Key())
		w.visit(t.Elem())
	case *types.Signature:
		w.signature(t)
	case *types.Struct:
		for field := range t.Fields() {
			if field.Exported() || field.Embedded() {
				w.in("."+field.Name(), field.Type())
			}
		}
	case *types.Interface:
		for method := range t.ExplicitMethods() {
			if method.Exported() {
				w.in("."+method.Name(), method.Type())
			}
		}
		for embedded := range t.EmbeddedTypes() {
			w.visit(embedded)
		}
	case *types.Union:
		for term := range t.Terms() {
			w.visit(term.Type())
		}
	}
}

func (w *apiWalk) signature(s *types.Signature) {
	for parameter := range s.TypeParams().TypeParams() {
		w.in("["+parameter.Obj().Name()+"]", parameter.Constraint())
	}
	for parameter := range s.Params().Variables() {
		w.visit(parameter.Type())
	}
	for result := range s.Results().Variables() {
		w.visit(result.Type())
	}
}

// named reports a type of an internal package, and looks into one of the package itself. Each of those is looked at once.
func (w *apiWalk) named(t *types.Named) {
	for argument := range t.TypeArgs().Types() {
		w.visit(argument)
	}
	t = t.Origin()
	if p := t.Obj().Pkg(); p != nil && isInternal(p.Path()) {
		w.found[w.at+" has "+p.Name()+"."+t.Obj().Name()] = true
		return
	}
	if t.Obj().Pkg() != w.home || w.seen[t] {
		return
	}
	w.seen[t] = true
	before := w.at
	defer func() { w.at = before }()
	w.at = t.Obj().Name()
	for parameter := range t.TypeParams().TypeParams() {
		w.in("["+parameter.Obj().Name()+"]", parameter.Constraint())
	}
	w.visit(t.Underlying())
	for method := range t.Methods() {
		if method.Exported() {
			w.in("."+method.Name(), method.Type())
		}
	}
}

func isInternal(path string) bool {
	return strings.HasPrefix(path, module) && slices.Contains(strings.Split(path, "/"), "internal")
}

// Each of these declarations must be found.
func TestEveryExposureIsFound(t *testing.T) {
	inner := types.NewPackage(module+"/internal/inner", "inner")
	hidden := types.NewNamed(types.NewTypeName(token.NoPos, inner, "Hidden", nil), types.NewStruct(nil, nil), nil)
	signature := func(params, results []types.Type) *types.Signature {
		tuple := func(all []types.Type) *types.Tuple {
			var vars []*types.Var
			for _, of := range all {
				vars = append(vars, types.NewParam(token.NoPos, nil, "", of))
			}
			return types.NewTuple(vars...)
		}
		return types.NewSignatureType(nil, nil, nil, tuple(params), tuple(results), false)
	}
	home := types.NewPackage(module+"/home", "home")
	field := func(name string, of types.Type, embedded bool) *types.Struct {
		return types.NewStruct([]*types.Var{types.NewField(token.NoPos, home, name, of, embedded)}, nil)
	}
	declare := func(name string, underlying types.Type) *types.Named {
		return types.NewNamed(types.NewTypeName(token.NoPos, home, name, nil), underlying, nil)
	}
	for want, object := range map[string]types.Object{
		"Parameter has inner.Hidden": types.NewFunc(token.NoPos, home, "Parameter", signature([]types.Type{types.NewSlice(hidden)}, nil)),
		"Result has inner.Hidden":    types.NewFunc(token.NoPos, home, "Result", signature(nil, []types.Type{types.NewPointer(hidden)})),
		"Func has inner.Hidden": types.NewFunc(token.NoPos, home, "Func",
			signature([]types.Type{signature(nil, []types.Type{types.NewMap(types.Typ[types.Int], hidden)})}, nil)),
		"Var has inner.Hidden":             types.NewVar(token.NoPos, home, "Var", types.NewChan(types.SendRecv, hidden)),
		"Field.Exported has inner.Hidden":  declare("Field", field("Exported", hidden, false)).Obj(),
		"Embedded.Hidden has inner.Hidden": declare("Embedded", field("Hidden", hidden, true)).Obj(),
		"Method.Get has inner.Hidden": declare("Method", types.NewInterfaceType([]*types.Func{
			types.NewFunc(token.NoPos, home, "Get", signature(nil, []types.Type{hidden})),
		}, nil).Complete()).Obj(),
		"own.Exported has inner.Hidden": types.NewFunc(token.NoPos, home, "Unexported", signature(nil, []types.Type{declare("own", field("Exported", hidden, false))})),
		"":                              declare("Private", field("private", hidden, false)).Obj(),
	} {
		w := &apiWalk{home: home, seen: make(map[types.Type]bool), found: make(map[string]bool), at: object.Name()}
		w.visit(object.Type())
		if want == "" {
			require.Empty(t, w.found)
			continue
		}
		require.Equal(t, map[string]bool{want: true}, w.found)
	}
}
