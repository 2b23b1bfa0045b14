-- The documented rules in SQL: UTC days, a member is active with a prompt, a
-- skill or a finished tool call, and looks back 1, 7 and 30 days inclusive.
create table ev as select distinct
  date(cast(t as integer) / 1000000000, 'unixepoch') as day, session, member, kind, tool,
  cast(nullif(cost, '') as integer) as cost, server, skill, seq, t from raw;
create view act as select * from ev where kind in ('user_prompt', 'tool_result', 'skill_activated');
create table days as
  with recursive d(day) as (select first from period union all select date(day, '+1 day') from d where day < (select last from period))
  select day from d;
create table by_day as select day,
  (select count(distinct session || member) from act where act.day = days.day) as sessions,
  (select count(distinct member) from act where member <> '' and act.day = days.day) as dau,
  (select count(distinct member) from act where member <> '' and act.day between date(days.day, '-6 days') and days.day) as wau,
  (select count(distinct member) from act where member <> '' and act.day between date(days.day, '-29 days') and days.day) as mau
  from days;
create view skills as select skill as name, member, session from ev where kind = 'skill_activated';
create view figures as select json_object(
  'days', (select json_group_array(json_object('date', day, 'sessions', sessions, 'dau', dau, 'wau', wau, 'mau', mau)) from by_day where sessions + dau + wau + mau > 0),
  'active', (select count(distinct member) from act where member <> ''),
  'sessions', (select count(distinct session) from act),
  'cost', (select sum(cost) from ev where kind = 'api_request'),
  'messages', (select count(*) from ev where kind = 'user_prompt' and member <> ''),
  'actions', (select count(*) from ev where kind = 'tool_result' and member <> ''),
  'connectors', (select json_group_array(json_object('name', name, 'members', members, 'sessions', sessions, 'uses', uses)) from
    (select server as name, count(distinct nullif(member, '')) as members, count(distinct session) as sessions, count(*) as uses
     from ev where kind = 'tool_result' and server <> '' group by server order by server)),
  'skills', (select json_group_array(json_object('name', name, 'members', members, 'sessions', sessions, 'uses', uses)) from
    (select name, count(distinct nullif(member, '')) as members, count(distinct session) as sessions, count(*) as uses
     from skills group by name order by name))
) as doc;
