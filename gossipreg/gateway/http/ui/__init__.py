"""The page at /ui/: the whole cluster as this sidecar knows it, live, for people with a browser.

    routes          the paths below /ui, and which of the page's requests change nothing
    page            answers them;  page_files: the files of static/, with the headers that keep the page safe
    page_calls      the methods of the local socket that the page may call
    page_tables     tables without JavaScript
    open_pages      the streams that are open
    page_stream     one stream: a view, written as fast as its reader reads
    page_views      the views by name
    page_events     what a stream is made of: events and the text of JSON
    live            what all streams share, as long as one is open
    board           items by key, read anew when they change;  member_items, service_items: what is on two of them
    watched         a value that is made again while somebody looks;  latest: readers want the newest alone
    overview        what is wrong, and how much there is of everything
    one_service     a service with all its instances;  out_because: why one is not in the answers
    one_member      a member, and what it says of itself
    asked_views     what all members are asked again and again: events, sagas
    history_view    the newest lines of the history, and each new one

A page that nobody opens costs nothing: all of it but `routes` is loaded by the first request below /ui, and what `live`
keeps is dropped when the last stream ends. Data leaves as JSON and goes into no HTML but that of `page_tables`, which
escapes all of it.
"""
