// The same as .ci/proxies/refusals.py, by Go's net/http: refusals CASES REST GRPC [TIMES]
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var grpcStatus = regexp.MustCompile(`(?i)grpc-status: ?(\d+)`)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	times := 20
	if len(os.Args) > 4 {
		times, _ = strconv.Atoi(os.Args[4])
	}
	failed := false
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fields := strings.Split(line, "\t")
		size, _ := strconv.Atoi(fields[4])
		body, address := bytes.Repeat([]byte("x"), size), os.Args[2]
		if fields[1] == "gRPC" {
			body[0], address = 0, os.Args[3]
			binary.BigEndian.PutUint32(body[1:], uint32(size-5))
		}
		seen := map[string]int{}
		for range times {
			seen[ask("http://"+address+fields[2], fields[3], body)]++
		}
		outcome := "ok  "
		if seen[fields[5]] != times {
			outcome, failed = "FAIL", true
		}
		fmt.Printf("%s %-12s %-22s %v\n", outcome, "net/http", fields[0], seen)
	}
	if failed {
		os.Exit(1)
	}
}

// ask is the status of gRPC that the answer has, or that of HTTP.
func ask(url, kind string, body []byte) string {
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Post(url, kind, bytes.NewReader(body))
	if err != nil {
		return err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	if status := answer.Header.Get("grpc-status"); status != "" {
		return status
	}
	if found := grpcStatus.FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return strconv.Itoa(answer.StatusCode)
}
