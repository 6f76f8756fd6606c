package payloads_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// marker is what must not be stored.
const marker = "ada.lovelace@example.com"

// keysOf makes a set of keys that are their IDs, repeated.
func keysOf(t *testing.T, ids ...string) keyset.Set {
	t.Helper()
	if len(ids) == 0 {
		return keyset.Set{}
	}
	var lines []string
	for _, id := range ids {
		if id != keyset.Plain {
			id += " " + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, keyset.KeyBytes)[:keyset.KeyBytes]))
		}
		lines = append(lines, id)
	}
	set, err := keyset.Parse(strings.Join(lines, "\n"))
	require.NoError(t, err)
	return set
}

func encrypted(t *testing.T, keys keyset.Set) *commonpb.Payload {
	t.Helper()
	p, err := payloads.Converter(keys).ToPayload(marker)
	require.NoError(t, err)
	return p
}

func read(keys keyset.Set, p *commonpb.Payload) (text string, err error) {
	err = payloads.Converter(keys).FromPayload(p, &text)
	return text, err
}

func TestPayloadsAreEncrypted(t *testing.T) {
	p := encrypted(t, keysOf(t, "a"))
	require.Equal(t, "binary/encrypted", string(p.GetMetadata()[converter.MetadataEncoding]))
	require.NotContains(t, p.String(), marker)
	for _, ids := range [][]string{{"a"}, {"b", "a"}, {keyset.Plain, "a"}} {
		text, err := read(keysOf(t, ids...), p)
		require.NoError(t, err)
		require.Equal(t, marker, text)
	}
}

func TestPlainPayloadsAreReadAndWrittenWithoutActiveKey(t *testing.T) {
	plain, err := converter.GetDefaultDataConverter().ToPayload(marker)
	require.NoError(t, err)
	for _, ids := range [][]string{nil, {keyset.Plain, "a"}} {
		require.Equal(t, plain.String(), encrypted(t, keysOf(t, ids...)).String())
	}
	for _, ids := range [][]string{nil, {"a"}} {
		text, err := read(keysOf(t, ids...), plain)
		require.NoError(t, err)
		require.Equal(t, marker, text)
	}
}

func TestUndecryptablePayloads(t *testing.T) {
	p := encrypted(t, keysOf(t, "a"))
	for _, ids := range [][]string{nil, {"b"}} {
		_, err := read(keysOf(t, ids...), p)
		require.ErrorIs(t, err, fault.Unavailable)
	}
	// The key is the same, the ID is not.
	p.Metadata["encryption-key-id"] = []byte("aa")
	_, err := read(keysOf(t, "a", "aa"), p)
	require.ErrorIs(t, err, fault.Corrupt)
	p.Metadata["encryption-key-id"] = []byte("a")
	p.Data[len(p.Data)-1] ^= 1
	_, err = read(keysOf(t, "a"), p)
	require.ErrorIs(t, err, fault.Corrupt)
}

// TestWorkflowTasksPanic: the SDK would fail the workflow, or drop the signal, whose payload gives an error.
func TestWorkflowTasksPanic(t *testing.T) {
	var o client.Options
	payloads.Configure(&o, keysOf(t, "b"))
	p := encrypted(t, keysOf(t, "a"))
	var text string
	in := o.DataConverter.(workflow.ContextAware)
	require.Panics(t, func() { _ = in.WithWorkflowContext(nil).FromPayload(p, &text) })
	require.Panics(t, func() { _ = o.DataConverter.FromPayloads(&commonpb.Payloads{Payloads: []*commonpb.Payload{p}}, &text) })
	require.ErrorIs(t, in.WithContext(t.Context()).FromPayload(p, &text), fault.Unavailable)

	require.ErrorIs(t, payloads.Guard(func() error { return o.DataConverter.FromPayload(p, &text) }), fault.Unavailable)
	other := errors.New("another error")
	require.Equal(t, other, payloads.Guard(func() error { return other }))
	require.PanicsWithValue(t, "a bug", func() { _ = payloads.Guard(func() error { panic("a bug") }) })
}

func TestFailuresAreEncrypted(t *testing.T) {
	var o client.Options
	payloads.Configure(&o, keysOf(t, "a"))
	f := o.FailureConverter.ErrorToFailure(errors.New(marker))
	require.NotContains(t, f.String(), marker)
	require.ErrorContains(t, o.FailureConverter.FailureToError(f), marker)
	payloads.Configure(&o, keyset.Set{})
	require.Equal(t, marker, o.FailureConverter.ErrorToFailure(errors.New(marker)).GetMessage())
}
