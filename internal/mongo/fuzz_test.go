package mongo

import "testing"

// FuzzHeaders: stored headers of a dead letter are read or refused, and headers that were read can be stored again unchanged.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"t":"table","v":[{"n":"eA==","h":{"t":"int32","v":1}}]}`, `{"t":"table","v":[{"n":"eA==","h":{"t":"list","v":[{"t":"float64","v":1}]}}]}`,
		`{"t":"table","v":[{"n":"eA==","h":{"t":"int8","v":300}}]}`, `{"t":"seconds","v":1}`, `{"t":"table","v":[{"n":"eA==","h":{"t":"seconds","v":99999999999999}}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		headers, err := decodeHeaders(stored)
		if err != nil {
			return
		}
		text := encodeHeaders(headers)
		again, err := decodeHeaders(text)
		if err != nil {
			t.Fatalf("%q became %q: %v", stored, text, err)
		}
		if encodeHeaders(again) != text {
			t.Fatalf("%q became %v and then %v", stored, headers, again)
		}
	})
}
