package jsondoc_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
)

func TestCheckNamesTheFirstDefect(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`: "", ` {"a":[1,{"b":null}],"c":"\ud800"} `: "", `{"a":[[]]}`: "",
		``:                                    " is not valid JSON: it ends too early",
		` `:                                   " is not valid JSON: it ends too early",
		`{"a":{"b":[1,"x`:                     "/a/b/1 is not valid JSON: it ends too early",
		`{"a":1,}`:                            " is not valid JSON, near byte 6",
		`{"a":01}`:                            " is not valid JSON, near byte 6",
		`null`:                                " must be a JSON object",
		`[{}]`:                                " must be a JSON object",
		`{}{}`:                                " is not valid JSON: unexpected data after the JSON object",
		`{} x`:                                " is not valid JSON: unexpected data after the JSON object",
		"{\"a\":\"\xff\"}":                    " is not valid UTF-8",
		`{"a":1,"b":2,"\u0061":3}`:            "/a occurs twice",
		`{"x/~":[0,{"b":1,"b":2}]}`:           "/x~1~0/1/b occurs twice",
		`{"a":[[[]]]}`:                        "/a/0/0 is nested too deeply",
		`{"a":{"a":{"a":{"a":{}}}}}`:          "/a/a/a is nested too deeply",
		`{"` + long + `":1,"` + long + `":2}`: "/" + long[:64] + "… occurs twice",
	} {
		got := ""
		if defect := jsondoc.Check([]byte(raw), 3); defect != nil {
			got = defect.Pointer + " " + defect.Detail
		}
		require.Equal(t, want, got, "%s", raw)
	}
}

var long = strings.Repeat("n", 100)

type inner struct {
	Name  string `json:"name" required:"true"`
	Count int64  `json:"count" unit:"in pieces"`
}

type named struct {
	Title string `json:"title"`
}

type outer struct {
	named
	Flag   bool    `json:"flag"`
	Maybe  *int64  `json:"maybe"`
	Any    any     `json:"any"`
	Inner  inner   `json:"inner"`
	Inners []inner `json:"inners" most:"2 things"`
}

// read returns what was read and the complaints.
func read(t *testing.T, raw string, o jsondoc.Options) (outer, []string) {
	t.Helper()
	doc, err := jsondoc.Read([]byte(raw), o)
	require.NoError(t, err)
	var v outer
	doc.Into(&v)
	var complaints []string
	for _, f := range fault.FieldsOf(doc.Err("thing")) {
		complaints = append(complaints, f.Pointer+" "+f.Detail)
	}
	return v, complaints
}

func TestReadIntoEveryKind(t *testing.T) {
	seven := int64(7)
	v, complaints := read(t, `{"title":"t","flag":true,"maybe":70e-1,"any":[1],"inner":{"name":"i","count":2.0},"inners":[{"name":"a"}]}`, jsondoc.Options{})
	require.Empty(t, complaints)
	require.Equal(t, outer{
		named: named{"t"}, Flag: true, Maybe: &seven, Any: []any{json.Number("1")}, Inner: inner{"i", 2}, Inners: []inner{{Name: "a"}},
	}, v)
	v, complaints = read(t, `{}`, jsondoc.Options{})
	require.Empty(t, complaints)
	require.Equal(t, outer{}, v)
}

func TestAllErrorsAreReported(t *testing.T) {
	const raw = `{"flag":1,"maybe":1.5,"title":[],"Title":"","inner":{"count":"2"},"inners":[7,{"name":null,"x/~":0},{}]}`
	_, complaints := read(t, raw, jsondoc.Options{})
	require.Equal(t, []string{
		"/Title is not a known field", "/title must be a string", "/flag must be true or false", "/maybe must be an integer, without a fraction",
		"/inner/name is missing", "/inner/count must be an integer in pieces, written as a JSON number", "/inners must have at most 2 things",
		"/inners/0 must be an object", "/inners/1/x~1~0 is not a known field", "/inners/1/name must be a string",
	}, complaints)
	_, complaints = read(t, raw, jsondoc.Options{Open: true, NullIsAbsent: true})
	require.NotContains(t, complaints, "/Title is not a known field")
	require.Contains(t, complaints, "/inners/1/name is missing")
}

func TestErrorsAreBounded(t *testing.T) {
	fields := map[string]int{}
	for i := range 60 {
		fields["unknown"+strconv.Itoa(i)] = i
	}
	raw, err := json.Marshal(fields)
	require.NoError(t, err)
	_, complaints := read(t, string(raw), jsondoc.Options{})
	require.Len(t, complaints, 50)
}

func TestMergeSkipsUnreadableFields(t *testing.T) {
	doc, err := jsondoc.Read([]byte(`{"title":1,"inners":{}}`), jsondoc.Options{})
	require.NoError(t, err)
	var v outer
	doc.Into(&v)
	require.NoError(t, doc.Merge(nil))
	require.NoError(t, doc.Merge(fault.NewInvalid("thing", []fault.Field{
		fault.Fieldf("/title", "is missing"), fault.Fieldf("/inners/0/name", "is missing"), {Pointer: "/flag", Detail: "is 100% wrong"},
		fault.Fieldf("/flag", "must be set"),
	})))
	require.Equal(t, []fault.Field{
		{Pointer: "/title", Detail: "must be a string"}, {Pointer: "/inners", Detail: "must be an array"},
		{Pointer: "/flag", Detail: "is 100% wrong"}, {Pointer: "/flag", Detail: "must be set"},
	}, fault.FieldsOf(doc.Err("thing")))
	require.True(t, doc.Wrong("/inners/7"))
	require.False(t, doc.Wrong("/inner"))
	other := errors.New("other")
	require.Equal(t, other, doc.Merge(other))
}

func TestReadIsStrictUnlessChecked(t *testing.T) {
	for _, raw := range []string{`{"title":"a","title":"b"}`, `{"title":"b"} x`, `{"any":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `,"title":"b"}`} {
		_, err := jsondoc.Read([]byte(raw), jsondoc.Options{})
		require.ErrorIs(t, err, fault.Malformed, raw)
		require.Len(t, fault.FieldsOf(err), 1)
		v, complaints := read(t, raw, jsondoc.Options{Checked: true})
		require.Empty(t, complaints)
		require.Equal(t, "b", v.Title)
	}
	for _, raw := range []string{`{"title":`, `[]`, ``} {
		_, err := jsondoc.Read([]byte(raw), jsondoc.Options{Checked: true})
		require.ErrorIs(t, err, fault.Malformed, raw)
	}
}

// FuzzCheck holds Check to encoding/json: what is no defect is valid JSON, and an object.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.5e3,"\ud800",{"b":null}]}`, `{"a":1,"a":2}`, `[`, `{"a":tru`, "{\"\xff\":1}", `{"\ud800":1,"\ud801":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		defect := jsondoc.Check(raw, 4)
		var object map[string]json.RawMessage
		err := json.Unmarshal(raw, &object)
		if defect == nil && (err != nil || object == nil) {
			t.Fatalf("%q has no defect: %v", raw, err)
		}
		if defect != nil && defect.Detail == "" {
			t.Fatalf("%q has a defect without words", raw)
		}
	})
}
