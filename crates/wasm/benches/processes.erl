%% SPDX-License-Identifier: AGPL-3.0-or-later
%% What benches/processes.rs does, in Erlang: the same messages, the same counts. Reads `name count` per line, does that
%% once, and answers with the microseconds of CPU, or for `memory` with the bytes of one process.
-module(processes).
-export([main/0]).

main() ->
    case io:get_line("") of
        eof -> halt();
        Line ->
            [Name, Count] = string:lexemes(Line, " \n"),
            io:format("~p~n", [run(Name, list_to_integer(Count))]),
            main()
    end.

run("memory", N) -> memory(N);
run(Name, N) ->
    {Before, _} = statistics(runtime),
    work(Name, N),
    {After, _} = statistics(runtime),
    (After - Before) * 1000.

work("ping-pong", N) -> ping_pong(N);
work("ring", N) -> ring(1000, N);
work("fan-in", N) -> [fan_in(100, N) || _ <- lists:seq(1, 10)];
work("spawn", N) -> spawn_waves(N).

ping_pong(N) ->
    Me = self(),
    Echo = spawn(fun() -> echo() end),
    spawn(fun() -> ping(Echo, N), Me ! done end),
    receive done -> Echo ! stop end.

echo() ->
    receive
        {From, X} -> From ! {self(), X}, echo();
        stop -> ok
    end.

ping(_, 0) -> ok;
ping(Echo, N) ->
    Echo ! {self(), N},
    receive {Echo, _} -> ping(Echo, N - 1) end.

ring(Size, Hops) ->
    Me = self(),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> node_(Next, Me) end) end, Me,
                       lists:seq(1, Size - 1)),
    First = spawn(fun() -> first(Last, Me) end),
    %% The last of the chain sends to us; we hand it to the first, so that it is a ring.
    First ! Hops,
    pass(First),
    exit(First, kill),
    ok.

pass(First) ->
    receive
        done -> ok;
        N -> First ! N, pass(First)
    end.

first(Next, Me) -> node_(Next, Me).

node_(Next, Me) ->
    receive
        0 -> Me ! done;
        N -> Next ! N - 1, node_(Next, Me)
    end.

fan_in(Senders, Each) ->
    Me = self(),
    To = spawn(fun() -> count(Senders * Each), Me ! done end),
    Body = <<0:128>>,
    [spawn(fun() -> flood(To, Body, Each) end) || _ <- lists:seq(1, Senders)],
    receive done -> ok end.

flood(_, _, 0) -> ok;
flood(To, Body, N) -> To ! Body, flood(To, Body, N - 1).

count(0) -> ok;
count(N) -> receive _ -> count(N - 1) end.

spawn_waves(0) -> ok;
spawn_waves(W) ->
    Me = self(),
    [spawn(fun() -> Me ! hello end) || _ <- lists:seq(1, 100)],
    gather(100),
    spawn_waves(W - 1).

gather(0) -> ok;
gather(N) -> receive hello -> gather(N - 1) end.

memory(N) ->
    Before = erlang:memory(total),
    Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, N)],
    After = erlang:memory(total),
    [P ! stop || P <- Pids],
    (After - Before) div N.
