package wiretap

import (
	"bufio"
	"encoding/binary"
	"io"
)

// Methods of AMQP 0-9-1, class << 16 | method: https://www.rabbitmq.com/amqp-0-9-1-reference
const (
	basicPublish = 60<<16 | 40
	basicReturn  = 60<<16 | 50
	basicDeliver = 60<<16 | 60
	basicAck     = 60<<16 | 80
	basicReject  = 60<<16 | 90
	basicNack    = 60<<16 | 120
)

const (
	amqpHeaderBytes = 8
	frameMethod     = 1
	frameEnd        = 0xCE
)

// readAMQPClient counts what a client sends.
func readAMQPClient(r io.Reader, count func(string, int64)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if _, err := in.Discard(amqpHeaderBytes); err != nil {
		return err
	}
	return readFrames(in, count, map[uint32]string{basicPublish: "publish", basicAck: "ack", basicReject: "reject", basicNack: "nack"})
}

// readAMQPServer counts what a broker sends.
func readAMQPServer(r io.Reader, count func(string, int64)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	return readFrames(in, count, map[uint32]string{basicDeliver: "deliver", basicAck: "confirm", basicNack: "refuse", basicReturn: "return"})
}

// readFrames reads frames: type, channel, size, payload, end.
func readFrames(in *bufio.Reader, count func(string, int64), names map[uint32]string) error {
	for {
		var header [7]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		size := int64(binary.BigEndian.Uint32(header[3:]))
		if size > maxMessage {
			return errMessage
		}
		payload := make([]byte, size+1)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		if payload[size] != frameEnd {
			return errMessage
		}
		if header[0] != frameMethod || size < 4 {
			continue
		}
		if name, known := names[binary.BigEndian.Uint32(payload)]; known {
			count(name, 1)
		}
	}
}
