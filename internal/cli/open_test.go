package cli

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryPage(t *testing.T) {
	pages := map[string][]int{"": {1, 2}, "b": nil, "c": {3}}
	next := map[string]string{"": "b", "b": "c"}
	all, err := everyPage(func(cursor string) ([]int, string, error) { return pages[cursor], next[cursor], nil })
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, all)
	_, err = everyPage(func(string) ([]int, string, error) { return nil, "", errors.New("gone") })
	require.ErrorContains(t, err, "gone")

	all, err = everyPage(func(string) ([]int, string, error) { return nil, "", nil })
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, printJSON(&out, all))
	require.Equal(t, "[]\n", out.String())
}
