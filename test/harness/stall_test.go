package harness

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAStallSeesATextThatIsCut: a text that is cut by a read is found, and what precedes it is forwarded.
func TestAStallSeesATextThatIsCut(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	s, err := NewStall(server.Addr().String(), "payment.captured")
	require.NoError(t, err)
	defer s.Close()
	client, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer client.Close()
	behind, err := server.Accept()
	require.NoError(t, err)
	defer behind.Close()

	const first = "everything before, payment.cap"
	_, err = io.WriteString(client, first)
	require.NoError(t, err)
	got := make([]byte, len(first))
	_, err = io.ReadFull(behind, got)
	require.NoError(t, err)
	require.Equal(t, first, string(got))
	_, err = io.WriteString(client, "tured, the rest")
	require.NoError(t, err)
	<-s.Stalled()
	require.NoError(t, client.Close())
	rest, err := io.ReadAll(behind)
	require.NoError(t, err)
	require.Empty(t, rest)
}
