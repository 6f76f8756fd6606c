package wiretap_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ordersaga/ordersaga/bench/internal/wiretap"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// talk sends bytes through a proxy to a server that says greeting and reads, and returns what was counted.
func talk(t *testing.T, protocol wiretap.Protocol, greeting []byte, pieces ...[]byte) wiretap.Counts {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got := make(chan []byte, 1)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			close(got)
			return
		}
		_, _ = conn.Write(greeting)
		all, _ := io.ReadAll(conn)
		_ = conn.Close()
		got <- all
	}()
	defer server.Close()
	proxy, err := wiretap.Listen(protocol, server.Addr().String())
	require.NoError(t, err)
	defer proxy.Close()
	conn, err := net.Dial("tcp", proxy.Addr())
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, len(greeting)))
	require.NoError(t, err)
	var sent []byte
	for _, piece := range pieces {
		sent = append(sent, piece...)
		_, err = conn.Write(piece)
		require.NoError(t, err)
	}
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	require.Equal(t, sent, <-got, "nothing is changed on the way")
	_ = conn.Close()
	proxy.Close()
	counts := proxy.Counts()
	require.Equal(t, int64(len(sent)), counts.Sent)
	require.Equal(t, int64(len(greeting)), counts.Received)
	return counts
}

// message is an OP_MSG with a command and the documents that belong to it.
func message(t *testing.T, command bson.D, documents ...bson.D) []byte {
	t.Helper()
	body := []byte{0, 0, 0, 0}
	raw, err := bson.Marshal(command)
	require.NoError(t, err)
	body = append(append(body, 0), raw...)
	if len(documents) > 0 {
		section := append([]byte("documents"), 0)
		for _, d := range documents {
			raw, err := bson.Marshal(d)
			require.NoError(t, err)
			section = append(section, raw...)
		}
		body = binary.LittleEndian.AppendUint32(append(body, 1), uint32(len(section)+4))
		body = append(body, section...)
	}
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(body)+16))
	header = append(header, make([]byte, 8)...)
	header = binary.LittleEndian.AppendUint32(header, 2013)
	return append(header, body...)
}

func TestMongoCommandsAreCounted(t *testing.T) {
	all := append(message(t, bson.D{{Key: "hello", Value: 1}}), message(t, bson.D{{Key: "insert", Value: "events"}},
		bson.D{{Key: "_id", Value: "a"}}, bson.D{{Key: "_id", Value: "b"}}, bson.D{{Key: "_id", Value: "c"}})...)
	for _, command := range []bson.D{
		{{Key: "find", Value: "events"}, {Key: "filter", Value: bson.D{}}},
		{{Key: "find", Value: "orders"}},
		{{Key: "getMore", Value: int64(7)}, {Key: "collection", Value: "orders"}},
		{{Key: "ping", Value: 1}},
	} {
		all = append(all, message(t, command)...)
	}
	all = append(all, message(t, bson.D{{Key: "update", Value: "orders"}}, bson.D{{Key: "q", Value: bson.D{}}}, bson.D{{Key: "q", Value: bson.D{}}})...)
	// However the bytes are cut.
	counts := talk(t, wiretap.MongoDB, nil, all[:30], all[30:31], all[31:])
	require.Equal(t, map[string]int64{
		"insert": 1, "insert events": 1, "insert: documents": 3, "insert events: documents": 3,
		"find": 2, "find events": 1, "find orders": 1, "getMore": 1, "getMore orders": 1, "ping": 1,
		"update": 1, "update orders": 1, "update: documents": 2, "update orders: documents": 2,
	}, counts.Requests)
	require.Equal(t, int64(6), counts.Total(), "neither collections nor documents are requests of their own")
}

// What is no BSON at the place of a command is not counted, and harms nobody.
func TestACommandThatIsNone(t *testing.T) {
	broken := message(t, bson.D{{Key: "find", Value: "events"}})
	broken[25] = 0x20 // the type of its first element
	counts := talk(t, wiretap.MongoDB, nil, broken)
	require.Empty(t, counts.Requests)
}

func frame(kind byte, payload []byte) []byte {
	f := binary.BigEndian.AppendUint32([]byte{kind, 0, 1}, uint32(len(payload)))
	return append(append(f, payload...), 0xCE)
}

func method(class, id uint16) []byte {
	return frame(1, append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, class), id), "arguments"...))
}

func TestAMQPMethodsAreCounted(t *testing.T) {
	fromServer := append(method(60, 60), append(frame(2, []byte("header")), append(frame(3, []byte("body")), method(60, 80)...)...)...)
	counts := talk(t, wiretap.AMQP, fromServer, []byte("AMQP\x00\x00\x09\x01"), method(10, 11), method(60, 40),
		frame(2, []byte("header")), frame(3, []byte("body")), method(60, 80), method(60, 40))
	require.Equal(t, map[string]int64{"publish": 2, "ack": 1, "deliver": 1, "confirm": 1}, counts.Requests)
}

func TestWhatCannotBeReadStillGoesThrough(t *testing.T) {
	counts := talk(t, wiretap.MongoDB, []byte("hello"), []byte("this is no message of MongoDB, and long enough to be one"))
	require.Equal(t, map[string]int64{"(unreadable)": 1}, counts.Requests)
}

func TestGRPCRequestsAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	proxy, err := wiretap.Listen(wiretap.GRPC, l.Addr().String())
	require.NoError(t, err)
	defer proxy.Close()
	conn, err := grpc.NewClient(proxy.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	client := grpc_health_v1.NewHealthClient(conn)
	for range 50 {
		_, err = client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
	}
	// What is answered has been counted.
	before := proxy.Counts()
	require.Equal(t, int64(50), before.Requests["Check"])
	_, err = client.List(t.Context(), &grpc_health_v1.HealthListRequest{})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"List": 1}, proxy.Counts().Minus(before).Requests)
	require.Equal(t, int64(51), proxy.Counts().Total())
	require.Positive(t, proxy.Counts().Received)
}
