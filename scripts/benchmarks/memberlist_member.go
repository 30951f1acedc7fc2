// One member of memberlist for `scripts/bench --memberlist PROGRAM`. What it reads and writes stands at the head of
// memberlist.py. With Debian's packages golang-go and golang-github-hashicorp-memberlist-dev (0.2.2) it is built by
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o PROGRAM scripts/benchmarks/memberlist_member.go
//
// and with a newer memberlist, in a folder of its own beside a copy of this file, by
//
//	go mod init member && go get github.com/hashicorp/memberlist && go build -o PROGRAM
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const patience = 10 * time.Second

type member struct {
	mutex sync.Mutex
	meta  []byte
}

func say(format string, values ...interface{}) {
	fmt.Fprintf(os.Stdout, format+"\n", values...) // one write a line
}

func (m *member) NotifyJoin(node *memberlist.Node)   { say("here %s %s", node.Name, node.Meta) }
func (m *member) NotifyUpdate(node *memberlist.Node) { say("here %s %s", node.Name, node.Meta) }
func (m *member) NotifyLeave(node *memberlist.Node)  { say("gone %s", node.Name) }

func (m *member) NodeMeta(limit int) []byte {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.meta
}
func (m *member) NotifyMsg([]byte)                           {}
func (m *member) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (m *member) LocalState(join bool) []byte                { return nil }
func (m *member) MergeRemoteState(state []byte, join bool)   {}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	name := flag.String("name", "", "of this member")
	bind := flag.String("bind", "", "HOST:PORT")
	join := flag.String("join", "", "HOST:PORT of a member")
	flag.Parse()
	host, port, err := net.SplitHostPort(*bind)
	fail(err)

	one := &member{}
	config := memberlist.DefaultLANConfig()
	config.Name, config.BindAddr = *name, host
	config.BindPort, err = strconv.Atoi(port)
	fail(err)
	config.AdvertisePort = config.BindPort
	config.Delegate, config.Events = one, one
	config.Logger = log.New(io.Discard, "", 0)
	list, err := memberlist.Create(config)
	fail(err)
	say("ready")
	if *join != "" {
		_, err = list.Join([]string{*join})
		fail(err)
	}

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch command, text, _ := strings.Cut(lines.Text(), " "); command {
		case "update":
			one.mutex.Lock()
			one.meta = []byte(text)
			one.mutex.Unlock()
			_ = list.UpdateNode(patience)
		case "leave":
			_ = list.Leave(patience)
			_ = list.Shutdown()
			return
		}
	}
	_ = list.Shutdown()
}
