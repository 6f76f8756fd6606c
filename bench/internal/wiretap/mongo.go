package wiretap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Opcodes of the MongoDB wire protocol:
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const (
	opCompressed = 2012
	opMsg        = 2013
	opQuery      = 2004
)

// insertedDocuments counts the documents inside of inserts.
const insertedDocuments = "insert: documents"

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
	var name string
	var documents int64
	for rest := body[4:]; len(rest) >= 5; {
		kind, section := rest[0], rest[1:]
		size := int(binary.LittleEndian.Uint32(section))
		if size < 5 || size > len(section) {
			break // the checksum, or nothing that is known
		}
		switch kind {
		case 0:
			name = firstField(section[:size])
		case 1:
			documents += documentsIn(section[4:size])
		default:
			size = len(section)
		}
		rest = section[size:]
	}
	switch name {
	case "", "hello", "isMaster", "ismaster", "endSessions":
		return
	}
	count(name, 1)
	if name == "insert" && documents > 0 {
		count(insertedDocuments, documents)
	}
}

// firstField is the name of the first element of a BSON document.
func firstField(document []byte) string {
	if len(document) < 6 {
		return ""
	}
	name, _, found := bytes.Cut(document[5:], []byte{0})
	if !found {
		return ""
	}
	return string(name)
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
