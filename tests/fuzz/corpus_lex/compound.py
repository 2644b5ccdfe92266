if a: b
elif c:
	d
# odd
	else_ = 1
else:
  e \
  ;
try: a
except A, B: pass
match x:
  case [a]: b
  case _ if c:
    d
match: int = 3