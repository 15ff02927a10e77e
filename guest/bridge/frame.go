package bridge

import (
	"encoding/binary"
	"errors"
	"io"
)

// kind is what a frame is.
type kind byte

const (
	// message is one of the channel's; with a number, a connection of that number comes with it.
	message kind = iota + 1
	// data is some of a connection's bytes.
	data
	// credit says how many more bytes the other side may send of a connection.
	credit
	// end says that no more bytes of a connection follow.
	end
	// reset says that a connection is over in both directions.
	reset
)

const (
	headerBytes = 9
	// maxPayloadBytes bounds one frame: as much as a message of the channel may have.
	maxPayloadBytes = 64 << 10
)

var errFrame = errors.New("a frame is not one of the protocol")

// frame is the unit on the stream: kind, number of the connection, length, payload.
type frame struct {
	kind    kind
	id      uint32
	payload []byte
}

// readFrame reads the next one into a buffer of maxPayloadBytes, which the payload shares.
func readFrame(stream io.Reader, buffer []byte) (frame, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(stream, header[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(header[5:])
	one := frame{kind: kind(header[0]), id: binary.BigEndian.Uint32(header[1:])}
	if one.kind < message || one.kind > reset || length > maxPayloadBytes {
		return frame{}, errFrame
	}
	one.payload = buffer[:length]
	_, err := io.ReadFull(stream, one.payload)
	return one, err
}

// append writes the frame's bytes behind others.
func (f frame) append(to []byte) []byte {
	to = append(to, byte(f.kind))
	to = binary.BigEndian.AppendUint32(to, f.id)
	to = binary.BigEndian.AppendUint32(to, uint32(len(f.payload)))
	return append(to, f.payload...)
}

func creditFrame(id uint32, bytes int) frame {
	return frame{credit, id, binary.BigEndian.AppendUint32(nil, uint32(bytes))}
}
