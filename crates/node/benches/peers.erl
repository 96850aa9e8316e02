%% SPDX-License-Identifier: AGPL-3.0-or-later
%% What benches/peers.rs does between two peers, between two Erlang nodes. Prints `name value`.
-module(peers).
-export([sink/0, source/1]).

%% The one node: takes messages, and answers where it is asked to.
sink() ->
    register(sink, self()),
    io:format("ready~n"),
    sink_loop().

sink_loop() ->
    receive
        {From, Body} -> From ! Body, sink_loop();
        _Body -> sink_loop()
    end.

%% The other: `Node`, number of messages, number of round trips.
source([Node, Messages, Rounds]) ->
    Sink = {sink, list_to_atom(Node)},
    Body = binary:copy(<<7>>, 64),
    connect(list_to_atom(Node), 100),
    rate(Sink, Body, 10000),
    io:format("rate ~p~n", [rate(Sink, Body, list_to_integer(Messages))]),
    Times = lists:sort([round_trip(Sink, Body) || _ <- lists:seq(1, list_to_integer(Rounds))]),
    N = length(Times),
    io:format("p50 ~p~np99 ~p~n", [lists:nth(N div 2 + 1, Times), lists:nth(N * 99 div 100 + 1, Times)]),
    halt().

connect(Node, Tries) when Tries > 0 ->
    case net_kernel:connect_node(Node) of
        true -> ok;
        _ -> timer:sleep(50), connect(Node, Tries - 1)
    end.

rate(Sink, Body, N) ->
    Start = erlang:monotonic_time(nanosecond),
    send(Sink, Body, N),
    Sink ! {self(), Body},
    receive Body -> ok end,
    N * 1000000000 div (erlang:monotonic_time(nanosecond) - Start).

send(_Sink, _Body, 0) -> ok;
send(Sink, Body, N) -> Sink ! Body, send(Sink, Body, N - 1).

round_trip(Sink, Body) ->
    Start = erlang:monotonic_time(nanosecond),
    Sink ! {self(), Body},
    receive Body -> ok end,
    erlang:monotonic_time(nanosecond) - Start.
