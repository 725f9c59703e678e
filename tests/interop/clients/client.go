// SPDX-License-Identifier: GPL-2.0

// client HOST PORT CA VERSION MODE: fetches the page; resumed: twice.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"os"
	"strings"
)

func main() {
	log.SetFlags(0)
	host, port, ca, version, mode := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatal("no authority")
	}
	number := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[version]
	config := &tls.Config{
		RootCAs:            roots,
		ServerName:         host,
		MinVersion:         number,
		MaxVersion:         number,
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	fetch(config, net.JoinHostPort(host, port), false)
	if mode == "resumed" {
		fetch(config, net.JoinHostPort(host, port), true)
	}
}

func fetch(config *tls.Config, address string, resumed bool) {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		log.Fatal(err)
	}
	page, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	if !strings.HasPrefix(string(page), "HTTP/1.1 200 OK\r\n") ||
		!strings.HasSuffix(string(page), strings.Repeat("x", 1024)) {
		log.Fatal("no page")
	}
	if conn.ConnectionState().DidResume != resumed {
		log.Fatal("resumed: ", !resumed)
	}
	conn.Close()
}
