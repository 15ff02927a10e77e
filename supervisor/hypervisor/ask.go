package hypervisor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"cofferdam/supervisor/launch"
	"cofferdam/supervisor/plan"
)

const longestAnswer = 64 << 10

// Ask makes the calls one after another over a connection, which is closed then. The first that is refused ends it.
func Ask(connection net.Conn, calls []plan.Call, deadline time.Time) error {
	defer connection.Close()
	_ = connection.SetDeadline(deadline)
	reader := bufio.NewReader(connection)
	for _, call := range calls {
		if err := ask(connection, reader, call); err != nil {
			return fmt.Errorf("the engine was asked for %s: %w", call.Path, err)
		}
	}
	return nil
}

func ask(connection io.Writer, reader *bufio.Reader, call plan.Call) error {
	request, err := http.NewRequest(call.Method, "http://engine"+call.Path, bytes.NewReader(call.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if err := request.Write(connection); err != nil {
		return err
	}
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil || response.StatusCode < http.StatusMultipleChoices {
		return err
	}
	var said struct {
		Fault string `json:"fault_message"`
	}
	if json.Unmarshal(raw, &said) != nil || said.Fault == "" {
		return fmt.Errorf("it answered %d", response.StatusCode)
	}
	return fmt.Errorf("it refused: %s", launch.Printable([]byte(said.Fault)))
}
