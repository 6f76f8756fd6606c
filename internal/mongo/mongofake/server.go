// Package mongofake is a server that speaks MongoDB's wire protocol and answers as a test defines, for answers that a real server gives only
// after a failover: a majority read that misses an acknowledged write, or a duplicate key error with a write-concern error.
//
// Only tests may import it. It imports the MongoDB driver.
package mongofake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Command is a command of a client.
type Command struct {
	// Name is the name of the command, such as find.
	Name string
	// Body is the complete command.
	Body bson.Raw
	// Documents are the documents of an insert, or the statements of an update.
	Documents []bson.Raw
}

// ReadConcern returns the level of the read concern, or "".
func (c Command) ReadConcern() string {
	level, _ := c.Body.Lookup("readConcern", "level").StringValueOK()
	return level
}

// Handler returns the answer to a command. The server adds ok: 1 if the answer has no ok.
type Handler func(c Command) bson.D

// Connect starts a server and returns a database of a client that is connected to it; both end with the test. The server is the primary of
// a replica set. It answers commands that drivers send on their own, except buildInfo.
func Connect(t testing.TB, handle Handler) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(Start(t, handle)).SetServerSelectionTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Database("fake")
}

// Start starts a server that stops when the test ends, and returns its URI.
func Start(t testing.TB, handle Handler) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: listener, handle: handle}
	s.done.Go(s.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.done.Wait()
	})
	return "mongodb://" + listener.Addr().String() + "/?directConnection=true"
}

// Found returns the answer of a find.
func Found(namespace string, documents ...any) bson.D {
	batch := bson.A{}
	return bson.D{{Key: "cursor", Value: bson.D{
		{Key: "id", Value: int64(0)}, {Key: "ns", Value: namespace}, {Key: "firstBatch", Value: append(batch, documents...)},
	}}}
}

// Refused returns the answer to a write with duplicate key errors at these indexes; unconfirmed adds a write-concern error.
func Refused(unconfirmed bool, indexes ...int) bson.D {
	list := bson.A{}
	for _, i := range indexes {
		list = append(list, bson.D{{Key: "index", Value: i}, {Key: "code", Value: 11000}, {Key: "errmsg", Value: "E11000 duplicate key"}})
	}
	answer := bson.D{{Key: "n", Value: 0}, {Key: "nModified", Value: 0}}
	if len(list) > 0 {
		answer = append(answer, bson.E{Key: "writeErrors", Value: list})
	}
	if unconfirmed {
		answer = append(answer, bson.E{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 64}, {Key: "errmsg", Value: "waiting for replication timed out"}}})
	}
	return answer
}

type server struct {
	listener net.Listener
	handle   Handler
	done     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func (s *server) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.done.Go(func() {
			defer conn.Close()
			var err error
			for err == nil {
				err = s.answer(conn)
			}
		})
	}
}

const (
	headerBytes     = 16
	opReply         = 1
	opQuery         = 2004
	opMessage       = 2013
	maxMessageBytes = 48 << 20
	moreToCome      = 1 << 1
)

// answer reads one message and answers it.
func (s *server) answer(conn net.Conn) error {
	var header [headerBytes]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return err
	}
	size, id := binary.LittleEndian.Uint32(header[:]), header[4:8]
	code := binary.LittleEndian.Uint32(header[12:])
	if code != opMessage && code != opQuery || size > maxMessageBytes {
		return fmt.Errorf("message %d of %d bytes", code, size)
	}
	payload := make([]byte, size-headerBytes)
	if _, err := io.ReadFull(conn, payload); err != nil {
		return err
	}
	if code == opQuery {
		// The first handshake of a driver uses the old message format.
		return write(conn, id, opReply, append(make([]byte, 16), 1, 0, 0, 0), s.reply(Command{Name: "hello"}))
	}
	command, err := parse(payload[4:])
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(payload)&moreToCome != 0 {
		return nil
	}
	return write(conn, id, opMessage, make([]byte, 5), s.reply(command))
}

// write writes an answer; before are the bytes between message header and document.
func write(conn net.Conn, id []byte, code uint32, before []byte, answer bson.D) error {
	body, err := bson.Marshal(answer)
	if err != nil {
		return err
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(headerBytes+len(before)+len(body)))
	out = append(append(out, 0, 0, 0, 0), id...)
	out = binary.LittleEndian.AppendUint32(out, code)
	_, err = conn.Write(append(append(out, before...), body...))
	return err
}

// parse reads the sections of a message: a body, and document sequences.
func parse(sections []byte) (c Command, err error) {
	for len(sections) > 0 {
		kind := sections[0]
		sections = sections[1:]
		if len(sections) < 4 {
			return c, errors.New("a section is cut off")
		}
		size := int(binary.LittleEndian.Uint32(sections))
		if size < 5 || size > len(sections) {
			return c, errors.New("a section has a wrong size")
		}
		section := sections[:size]
		sections = sections[size:]
		if kind == 0 {
			c.Body = section
			elements, err := c.Body.Elements()
			if err != nil || len(elements) == 0 {
				return c, errors.New("a command cannot be read")
			}
			c.Name = elements[0].Key()
			continue
		}
		rest := section[4:]
		for len(rest) > 0 && rest[0] != 0 {
			rest = rest[1:]
		}
		for rest = rest[1:]; len(rest) >= 5; {
			n := int(binary.LittleEndian.Uint32(rest))
			c.Documents = append(c.Documents, rest[:n])
			rest = rest[n:]
		}
	}
	return c, nil
}

// reply answers handshakes and pings, and calls the handler for other commands.
func (s *server) reply(c Command) bson.D {
	var answer bson.D
	switch c.Name {
	case "hello":
		answer = bson.D{
			{Key: "helloOk", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "setName", Value: "fake"}, {Key: "setVersion", Value: 1},
			{Key: "hosts", Value: bson.A{s.listener.Addr().String()}}, {Key: "me", Value: s.listener.Addr().String()},
			{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: maxMessageBytes}, {Key: "maxWriteBatchSize", Value: 100_000},
			{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21},
		}
	case "ping", "endSessions":
	default:
		answer = s.handle(c)
	}
	for _, field := range answer {
		if field.Key == "ok" {
			return answer
		}
	}
	return append(answer, bson.E{Key: "ok", Value: 1})
}
