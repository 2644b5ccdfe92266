# coding: utf-8

x = 1.e5j + 0xfor y\
  z = 2