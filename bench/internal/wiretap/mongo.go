package wiretap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Opcodes of the MongoDB wire protocol:
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const (
	opCompressed = 2012
	opMsg        = 2013
	opQuery      = 2004
)

// documentsOf ends the names that count the documents inside of commands: "insert: documents", "insert events: documents".
const documentsOf = ": documents"

// detail tells that a name says more about requests that are counted under another one: of which collection they are, how
// many documents were inside.
func detail(name string) bool { return strings.Contains(name, " ") }

// maxMessage bounds one message of any protocol here, at what an HTTP/2 frame may have; what is longer is not read on.
const maxMessage = 16<<20 - 1

var errMessage = errors.New("no such message")

// readMongo counts the commands that a client sends. The heartbeats of drivers are not counted.
func readMongo(r io.Reader, count func(string, int64)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		var header [16]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		length := int64(binary.LittleEndian.Uint32(header[0:]))
		if length < 16 || length > maxMessage {
			return errMessage
		}
		body := make([]byte, length-16)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		switch binary.LittleEndian.Uint32(header[12:]) {
		case opMsg:
			countCommand(body, count)
		case opCompressed:
			count("(compressed)", 1)
		case opQuery: // the first hello of a connection
		default:
			return errMessage
		}
	}
}

// countCommand counts what is in an OP_MSG: flags, then sections. Section 0 is the command, whose first field is its
// name; sections 1 are documents that belong to it.
func countCommand(body []byte, count func(string, int64)) {
	if len(body) < 4 {
		return
	}
	var command bson.Raw
	var documents int64
	for rest := body[4:]; len(rest) >= 5; {
		kind, section := rest[0], rest[1:]
		size := int(binary.LittleEndian.Uint32(section))
		if size < 5 || size > len(section) {
			break // the checksum, or nothing that is known
		}
		switch kind {
		case 0:
			command = bson.Raw(section[:size])
		case 1:
			documents += documentsIn(section[4:size])
		default:
			size = len(section)
		}
		rest = section[size:]
	}
	name, collection := commandIn(command)
	switch name {
	case "", "hello", "isMaster", "ismaster", "endSessions":
		return
	}
	count(name, 1)
	if collection != "" {
		count(name+" "+collection, 1)
	}
	if documents == 0 {
		return
	}
	// An insert has documents, an update statements: what a group commit saves is seen in how many come at once.
	count(name+documentsOf, documents)
	if collection != "" {
		count(name+" "+collection+documentsOf, documents)
	}
}

// commandIn is the name of a command and the collection that it is about; "" where there is none.
func commandIn(command bson.Raw) (name, collection string) {
	first, err := command.IndexErr(0)
	if err != nil {
		return "", ""
	}
	name = first.Key()
	collection, named := first.Value().StringValueOK()
	if !named {
		// The first field of a getMore is its cursor.
		collection, _ = command.Lookup("collection").StringValueOK()
	}
	return name, collection
}

// documentsIn counts the documents behind the identifier of a section.
func documentsIn(section []byte) (n int64) {
	_, rest, found := bytes.Cut(section, []byte{0})
	for found && len(rest) >= 5 {
		size := int(binary.LittleEndian.Uint32(rest))
		if size < 5 || size > len(rest) {
			return n
		}
		n, rest = n+1, rest[size:]
	}
	return n
}
